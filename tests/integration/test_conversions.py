# SPDX-License-Identifier: MIT
"""Conversions against independent implementations, on photographs: ffmpeg's swscale and its own JPEG
decoder, libjpeg by way of Pillow, and arithmetic in floating point here.

Comparisons are of like with like. swscale is told the same matrix and range, to round properly
(accurate_rnd, full_chroma_int), and the filter that libyuv has at that place: chroma repeated
("neighbor") for RGB, means ("area") where samples become fewer. Where the arithmetic is defined the
result must be the same to the bit; where both round in their own way, 45 dB is demanded, which is an
error of 1.4 of 255.
"""

import io
import subprocess

import numpy
import pytest
from camtap_testing import build_path
from PIL import Image
from recordings import ffmpeg
from scipy import ndimage

FOLDER = "/usr/lib/python3/dist-packages/skimage/data"
PHOTOGRAPH = f"{FOLDER}/astronaut.png"  # NASA, public domain: 512x512
ODD_PHOTOGRAPH = f"{FOLDER}/chelsea.png"  # Stefan van der Walt, CC0: 451x300
WIDTH, HEIGHT = 512, 512
PSNR_LEAST = 45.0  # dB
EXACT = "accurate_rnd+full_chroma_int+full_chroma_inp"
COLORSPACE_SRGB = 8  # V4L2_COLORSPACE_SRGB; with encoding and range 0: BT.601, limited
ENCODINGS = {"bt601": 1, "bt709": 2, "bt2020": 6}  # enum v4l2_ycbcr_encoding
RANGES = {"pc": 1, "tv": 2}  # enum v4l2_quantization
TARGETS = {"GREY": "gray", "YU12": "yuv420p", "NV12": "nv12", "RGB3": "rgb24", "BGR3": "bgr24",
           "XR24": "bgr0"}
RGB_TARGETS = ["RGB3", "BGR3", "XR24"]


def same(data):
    return data


def interleave(subsampling):
    """Planar to semi-planar."""
    luma = WIDTH * HEIGHT
    chroma = luma // subsampling

    def change(data):
        cb, cr = data[luma:luma + chroma], data[luma + chroma:]
        return data[:luma] + numpy.stack([as_samples(cb), as_samples(cr)], axis=1).tobytes()
    return change


def exchange_planes(data):
    luma, chroma = WIDTH * HEIGHT, WIDTH * HEIGHT // 4
    return data[:luma] + data[luma + chroma:] + data[luma:luma + chroma]


def exchange_chroma(data):
    """UYVY to VYUY."""
    return as_samples(data).reshape(-1, 4)[:, [2, 1, 0, 3]].tobytes()


# our name: ffmpeg's format, and what makes the one of the other
YCBCR = {
    "YUYV": ("yuyv422", same), "YVYU": ("yvyu422", same), "UYVY": ("uyvy422", same),
    "VYUY": ("uyvy422", exchange_chroma), "NV12": ("nv12", same), "NV21": ("nv21", same),
    "NV16": ("yuv422p", interleave(2)), "NV24": ("yuv444p", interleave(1)),
    "YU12": ("yuv420p", same), "YV12": ("yuv420p", exchange_planes), "422P": ("yuv422p", same),
}
# our name: where red, green, blue are in a pixel, and its size
RGB = {"RGB3": (0, 1, 2, 3), "BGR3": (2, 1, 0, 3), "XR24": (2, 1, 0, 4), "AR24": (2, 1, 0, 4),
       "BX24": (1, 2, 3, 4), "BA24": (1, 2, 3, 4), "XB24": (0, 1, 2, 4), "AB24": (0, 1, 2, 4),
       "RX24": (3, 2, 1, 4), "RA24": (3, 2, 1, 4), "BGR4": (2, 1, 0, 4), "RGB4": (1, 2, 3, 4)}
GREY = {"GREY": ("gray", 8), "Y10": ("gray10le", 10), "Y12": ("gray12le", 12),
        "Y16": ("gray16le", 16), "Y16-BE": ("gray16be", 16)}


def as_samples(data):
    return numpy.frombuffer(data, numpy.uint8)


def swscale(data, pixels, to_pixels, filters, width=WIDTH, height=HEIGHT):
    """Has ffmpeg convert one raw frame."""
    return ffmpeg("-f", "rawvideo", "-pix_fmt", pixels, "-s", f"{width}x{height}", "-i", "-",
                  "-vf", filters, "-f", "rawvideo", "-pix_fmt", to_pixels, "-",
                  input=data)


def convert(source, request, data, colorspace=COLORSPACE_SRGB, encoding=0, quantization=0):
    done = subprocess.run(
        [build_path("tests/integration/programs/convert-frame"), source, request,
         str(colorspace), str(encoding), str(quantization)],
        input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def without_filling(data, fourcc):
    """Leaves out the fourth byte, which says nothing."""
    return as_samples(data).reshape(-1, 4)[:, :3].tobytes() if fourcc == "XR24" else data


def difference(result, wanted):
    result, wanted = as_samples(result), as_samples(wanted)
    assert result.size == wanted.size
    return result.astype(int) - wanted.astype(int)


def psnr(result, wanted):
    error = numpy.mean(difference(result, wanted).astype(float) ** 2)
    return 10 * numpy.log10(255 ** 2 / error) if error else float("inf")


def assert_close(result, wanted, what=""):
    quality = psnr(result, wanted)
    print(f"{what}: {quality:.1f} dB, worst {numpy.abs(difference(result, wanted)).max()}")
    assert quality >= PSNR_LEAST, what


@pytest.fixture(scope="module", name="photograph")
def read_photograph():
    return Image.open(PHOTOGRAPH).convert("RGB").tobytes()


@pytest.fixture(scope="module", name="make")
def maker(photograph):
    """Makes frames of the photograph, each kind once."""
    made = {}

    def make(pixels, matrix="bt601", scale="tv", flags="bicubic"):
        key = pixels, matrix, scale, flags
        if key not in made:
            made[key] = swscale(
                photograph, "rgb24", pixels,
                f"scale=out_color_matrix={matrix}:out_range={scale}:flags={flags}+{EXACT}")
        return made[key]
    return make


@pytest.mark.parametrize("source", YCBCR)
def test_luma_is_taken_as_it_is(source, make):
    pixels, change = YCBCR[source]
    data = make(pixels)
    assert convert(f"{source}:{WIDTH}x{HEIGHT}", "GREY", change(data)) == swscale(
        data, pixels, "gray", "extractplanes=y")


@pytest.mark.parametrize("target", ["YU12", "NV12"])
@pytest.mark.parametrize("source", YCBCR)
def test_chroma_is_the_mean_of_its_samples(source, target, make):
    pixels, change = YCBCR[source]
    data = make(pixels)
    result = convert(f"{source}:{WIDTH}x{HEIGHT}", target, change(data))
    if source == target:
        assert result == data
        return
    assert result == swscale(data, pixels, TARGETS[target], f"scale=flags=area+{EXACT}")


@pytest.mark.parametrize("scale", RANGES)
@pytest.mark.parametrize("matrix", ENCODINGS)
@pytest.mark.parametrize("source", ["YUYV", "NV12", "NV24", "422P", "YV12"])
def test_rgb_honours_matrix_and_range(source, matrix, scale, make):
    pixels, change = YCBCR[source]
    data = make(pixels, matrix, scale)
    for target in RGB_TARGETS:
        wanted = swscale(data, pixels, TARGETS[target],
                         f"scale=in_color_matrix={matrix}:in_range={scale}:out_range=pc:"
                         f"flags=neighbor+{EXACT}")
        result = convert(f"{source}:{WIDTH}x{HEIGHT}", target, change(data),
                         encoding=ENCODINGS[matrix], quantization=RANGES[scale])
        assert_close(without_filling(result, target), without_filling(wanted, target),
                     f"{source} {matrix} {scale} {target}")


@pytest.mark.parametrize("source", RGB)
def test_rgb_becomes_anything(source, photograph, make):
    pixels = as_samples(photograph).reshape(-1, 3)
    packed = numpy.full((WIDTH * HEIGHT, RGB[source][3]), 77, numpy.uint8)
    packed[:, list(RGB[source][:3])] = pixels
    data = packed.tobytes()
    source = f"{source}:{WIDTH}x{HEIGHT}"

    for target in RGB_TARGETS:  # the same bytes elsewhere
        result = as_samples(convert(source, target, data)).reshape(-1, RGB[target][3])
        assert (result[:, list(RGB[target][:3])] == pixels).all()

    red, green, blue = pixels.T.astype(float)
    grey = numpy.rint(0.299 * red + 0.587 * green + 0.114 * blue).astype(numpy.uint8)
    assert numpy.abs(difference(convert(source, "GREY", data), grey.tobytes())).max() <= 1

    assert_close(convert(source, "YU12", data), make("yuv420p", flags="area"), source)
    assert_close(convert(source, "NV12", data), make("nv12", flags="area"), source)


@pytest.mark.parametrize("source", GREY)
def test_grey_is_taken_as_it_is(source, make):
    pixels, bits = GREY[source]
    data = make(pixels, scale="pc")
    kind = numpy.uint8 if bits == 8 else ">u2" if source.endswith("BE") else "<u2"
    grey = (numpy.frombuffer(data, kind).astype(numpy.uint16) >> (bits - 8)).astype(numpy.uint8)
    source = f"{source}:{WIDTH}x{HEIGHT}"
    assert convert(source, "GREY", data) == grey.tobytes()
    assert convert(source, "RGB3", data) == numpy.repeat(grey, 3).tobytes()
    assert convert(source, "NV12", data) == grey.tobytes() + b"\x80" * (WIDTH * HEIGHT // 2)


def bilinear(picture, width, height):
    """Two by two pixels around the place that a pixel has in the picture: smaller pictures are laid
    over the whole with their pixels' centres in the right place, larger ones with their corner pixels
    on the corner pixels, as libyuv does both."""
    def places(size, new_size):
        if new_size > size:
            at = numpy.arange(new_size) * (size - 1) / (new_size - 1)
        else:
            at = numpy.clip((numpy.arange(new_size) + 0.5) * size / new_size - 0.5, 0, size - 1)
        first = numpy.minimum(at.astype(int), size - 2)
        return first, at - first

    y, fy = places(picture.shape[0], height)
    x, fx = places(picture.shape[1], width)
    lines = picture[y] * (1 - fy)[:, None] + picture[y + 1] * fy[:, None]
    return numpy.rint(lines[:, x] * (1 - fx) + lines[:, x + 1] * fx).astype(numpy.uint8)


@pytest.mark.parametrize("size", [(256, 256), (128, 128), (64, 64), (128, 64)])
@pytest.mark.parametrize("target", TARGETS)
def test_whole_factors_are_means(target, size, photograph, make):
    """Each format scaled by itself, and RGB from YCbCr."""
    pixels = TARGETS[target]
    data = make(pixels)
    result = convert(f"{target}:{WIDTH}x{HEIGHT}", f"{target}:{size[0]}x{size[1]}", data)
    wanted = swscale(data, pixels, pixels, f"scale={size[0]}:{size[1]}:flags=area+{EXACT}")
    assert_close(without_filling(result, target), without_filling(wanted, target),
                 f"{target} {size}")


def means(picture, width, height):
    lines, columns = picture.shape[0] // height, picture.shape[1] // width
    return picture.reshape(height, lines, width, columns).mean(axis=(1, 3))


def scaled(picture, width, height):
    lines, columns = picture.shape[0] // height, picture.shape[1] // width
    middle = bilinear(picture, width * max(columns, 1), height * max(lines, 1))
    return numpy.rint(means(middle, width, height)).astype(numpy.uint8).tobytes()


@pytest.mark.parametrize("size", [
    (640, 640), (1024, 700), (400, 300), (300, 512), (200, 200), (224, 160), (100, 77),
    (400, 150), (100, 300), (64, 600), (31, 1)])
def test_other_factors_are_bilinear_then_means(size, make):
    """Larger; smaller, but not below half; smaller than half; one of each."""
    data = make("gray")
    picture = as_samples(data).reshape(HEIGHT, WIDTH).astype(float)
    result = convert(f"GREY:{WIDTH}x{HEIGHT}", f"GREY:{size[0]}x{size[1]}", data)
    assert_close(result, scaled(picture, *size), f"GREY {size}")


@pytest.mark.parametrize("target", ["RGB3", "YU12", "GREY"])
def test_a_crop_is_cut_before_it_is_scaled(target, make):
    data = make("nv12")
    result = convert(f"NV12:{WIDTH}x{HEIGHT}", f"{target}:128x96,crop=256x192+130+40", data)
    cut = swscale(data, "nv12", "nv12", "crop=256:192:130:40")
    assert result == convert("NV12:256x192", f"{target}:128x96", cut)
    if target == "GREY":
        luma = cut[:256 * 192]
        assert_close(result, swscale(luma, "gray", "gray", f"scale=128:96:flags=area+{EXACT}", 256,
                                     192))


# column and line of red, bits
BAYER = {
    "RGGB": (0, 0, 8), "GRBG": (1, 0, 8), "GBRG": (0, 1, 8), "BA81": (1, 1, 8),
    "RG10": (0, 0, 10), "BA10": (1, 0, 10), "GB10": (0, 1, 10), "BG10": (1, 1, 10),
    "RG12": (0, 0, 12), "BA12": (1, 0, 12), "GB12": (0, 1, 12), "BG12": (1, 1, 12),
}


@pytest.mark.parametrize("source", BAYER)
def test_bayer_is_bilinear(source, photograph):
    """The textbook's convolution of each colour's pixels, with zeros between them, by SciPy.
    (swscale has another way.)"""
    red_x, red_y, bits = BAYER[source]
    picture = as_samples(photograph).reshape(HEIGHT, WIDTH, 3).astype(int) << (bits - 8)
    picture += numpy.arange(WIDTH)[:, None] % (1 << (bits - 8))  # so that the low bits matter
    colours = numpy.zeros_like(picture)
    colours[red_y::2, red_x::2, 0] = picture[red_y::2, red_x::2, 0]
    colours[1 - red_y::2, 1 - red_x::2, 2] = picture[1 - red_y::2, 1 - red_x::2, 2]
    colours[red_y::2, 1 - red_x::2, 1] = picture[red_y::2, 1 - red_x::2, 1]
    colours[1 - red_y::2, red_x::2, 1] = picture[1 - red_y::2, red_x::2, 1]
    mosaic = colours.sum(axis=2).astype(numpy.uint8 if bits == 8 else "<u2")

    cross = numpy.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]])
    square = numpy.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]])
    sums = [ndimage.convolve(colours[:, :, i], cross if i == 1 else square, mode="mirror")
            for i in range(3)]
    wanted = ((numpy.stack(sums, axis=2) + 2) // 4 >> (bits - 8)).astype(numpy.uint8)
    data = mosaic.tobytes()
    assert convert(f"{source}:{WIDTH}x{HEIGHT}", "RGB3", data) == wanted.tobytes()
    assert convert(f"{source}:{WIDTH}x{HEIGHT}", "BGR3,crop=100x81+33+2", data) == \
        wanted[2:83, 33:133, ::-1].tobytes()


def jpeg_of(picture, sampling):
    """sampling: Pillow's number, or None for grey."""
    data = io.BytesIO()
    if sampling is None:
        picture.convert("L").save(data, "JPEG", quality=90)
    else:
        picture.save(data, "JPEG", quality=90, subsampling=sampling)
    return data.getvalue()


def without_huffman_tables(data):
    """As MJPEG cameras send it."""
    at, result = 2, data[:2]
    while data[at + 1] != 0xda:
        size = 2 + int.from_bytes(data[at + 2:at + 4], "big")
        if data[at + 1] != 0xc4:
            result += data[at:at + size]
        at += size
    return result + data[at:]


JPEGS = {"4:4:4": (0, "yuvj444p"), "4:2:2": (1, "yuvj422p"), "4:2:0": (2, "yuvj420p"),
         "grey": (None, "gray")}
# whole; odd in one way and the other; smaller than a block
SIZES = [(512, 512), (451, 300), (450, 299), (33, 17), (5, 3)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", JPEGS)
@pytest.mark.parametrize("tables", ["with tables", "without tables"])
def test_jpeg_is_decoded_as_libjpeg_does(kind, size, tables):
    picture = Image.open(PHOTOGRAPH if size == (512, 512) else ODD_PHOTOGRAPH).convert("RGB")
    picture = picture.crop((0, 0, *size))
    whole = jpeg_of(picture, JPEGS[kind][0])
    data = whole if tables == "with tables" else without_huffman_tables(whole)
    assert (b"\xff\xc4" in data) == (tables == "with tables")
    source = f"MJPG:{size[0]}x{size[1]}"
    decoded = Image.open(io.BytesIO(whole))
    rgb = decoded.convert("RGB").tobytes()
    assert numpy.abs(difference(convert(source, "RGB3", data), rgb)).max() <= 1

    grey = Image.open(io.BytesIO(whole))
    grey.draft("L", None)  # libjpeg's Y, not Pillow's
    assert numpy.abs(difference(convert(source, "GREY", data), grey.tobytes())).max() <= 1


@pytest.mark.parametrize("kind", JPEGS)
def test_jpeg_planes_are_those_of_another_decoder(kind):
    """ffmpeg's decoder is its own."""
    sampling, pixels = JPEGS[kind]
    data = jpeg_of(Image.open(PHOTOGRAPH).convert("RGB"), sampling)
    planes = ffmpeg("-f", "mjpeg", "-i", "-", "-f", "rawvideo", "-pix_fmt", pixels, "-",
                    input=data)
    source = f"MJPG:{WIDTH}x{HEIGHT}"
    assert_close(convert(source, "GREY", data), planes[:WIDTH * HEIGHT], f"{kind} GREY")
    if kind == "grey":
        return
    wanted = swscale(planes, pixels.replace("j", ""), "yuv420p", f"scale=flags=area+{EXACT}")
    result = convert(source, "YU12", data)
    assert_close(result, wanted, f"{kind} YU12")
    assert_close(convert(source, "NV12", data), interleave(4)(wanted), f"{kind} NV12")


@pytest.mark.parametrize("kind", JPEGS)
def test_jpeg_is_decoded_smaller(kind):
    """Pillow asks libjpeg for the same scale."""
    data = jpeg_of(Image.open(PHOTOGRAPH).convert("RGB"), JPEGS[kind][0])
    for divisor in (2, 4, 8):
        size = WIDTH // divisor, HEIGHT // divisor
        small = Image.open(io.BytesIO(data))
        small.draft("L" if kind == "grey" else "RGB", size)
        result = convert(f"MJPG:{WIDTH}x{HEIGHT}", f"RGB3:{size[0]}x{size[1]}", data)
        assert numpy.abs(difference(result, small.convert("RGB").tobytes())).max() <= 1


@pytest.mark.parametrize("size, divisor", [
    ((250, 250), 2), ((200, 180), 2), ((100, 100), 4), ((30, 40), 8), ((300, 300), 1),
    ((128, 64), 4)])
def test_jpeg_scaled_by_both(size, divisor):
    """libjpeg's scale by halves, then ours. (Against exact areas of the whole image that is 35 to
    40 dB: libjpeg leaves out what the smaller picture cannot show, rather than weaken it.)"""
    data = jpeg_of(Image.open(PHOTOGRAPH).convert("RGB"), 2)
    small = Image.open(io.BytesIO(data))
    small.draft("L", (WIDTH // divisor, HEIGHT // divisor))
    assert small.size == (WIDTH // divisor, HEIGHT // divisor)
    picture = numpy.asarray(small).astype(float)
    result = convert(f"MJPG:{WIDTH}x{HEIGHT}", f"GREY:{size[0]}x{size[1]}", data)
    assert_close(result, scaled(picture, *size), f"GREY {size}")
    planes = convert(f"MJPG:{WIDTH}x{HEIGHT}", f"YU12:{size[0]}x{size[1]}", data)
    assert planes[:size[0] * size[1]] == result
    # colours: RGB made from these planes differs by where chroma was scaled only
    rgb = convert(f"MJPG:{WIDTH}x{HEIGHT}", f"RGB3:{size[0]}x{size[1]}", data)
    again = convert(f"YU12:{size[0]}x{size[1]}", "RGB3", planes, quantization=RANGES["pc"])
    assert psnr(rgb, again) >= 30
