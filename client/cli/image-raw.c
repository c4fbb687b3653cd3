/* SPDX-License-Identifier: MIT */

/* raw: the planes' bytes one after the other, padding of lines included, as the camera delivered
 * them. */

#include "image.h"

#include <errno.h>

static int encode(const struct image *image, int quality, struct encoded *ret_encoded,
	char error[IMAGE_ERROR_SIZE])
{
	(void)quality;
	encoded_clear(ret_encoded);
	ret_encoded->extension = "raw";
	for (unsigned i = 0; i < image->plane_count; i++) {
		if (buffer_append(&ret_encoded->body, image->planes[i].data,
			    image->planes[i].bytesused) < 0)
			return image_fail(error, -ENOMEM, "no memory for a frame");
	}
	return 0;
}

const struct image_format image_raw = {
	.name = "raw",
	.concatenates = true,
	.sidecar = true,
	.encode = encode,
};
