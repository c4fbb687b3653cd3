/* SPDX-License-Identifier: MIT */
#ifndef CAMTAP_DAEMON_LOG_MESSAGES_H
#define CAMTAP_DAEMON_LOG_MESSAGES_H

/* MESSAGE_ID= of what the daemon logs: one per kind of event (systemd-id128 new), never used again
 * for another. systemd/camtap.catalog explains each, and what to do about it. */

/* states of the camera */
#define LOG_CAMERA_STREAMING "b4cefab7efe34137a997d62fb6fba9fb" /* frames come */
#define LOG_CAMERA_IDLE      "9aca59c4ce8c43b3b833c9616f4ba6d6" /* nobody reads, it is off */
#define LOG_CAMERA_STALLED   "39156a76fa3b4511817e5d945892c6d4" /* it delivers nothing */
#define LOG_CAMERA_OFFLINE   "981cd5f13d314338ad0c516b6d87e2e3" /* it is away, or failed */
#define LOG_CAMERA_ENDED     "bbe177b36cd745728a1e4c0d6a9f1827" /* the recording is over */
#define LOG_CAMERA_PAUSED    "ff6c2d1537f5444bbb9c195b4b69f313" /* somebody has paused it */
#define LOG_CAMERA_RESUMED   "38fd000d22684858bbf39bc7dbd540ab" /* that is over */
#define LOG_CONTROL_NOT_SET  "f5cd50b81cad4064b74929fbe92ea8dd"

/* clients */
#define LOG_READER_ATTACHED "f11b9118355240878dbace1f7be26943"
#define LOG_READER_GONE     "a28684cdb6ee4a42aab1e3bd77ef38c5"
#define LOG_CLIENT_REFUSED  "f78baa0afeef477f971d326aaa655730" /* it may not, or not now */
#define LOG_CLIENT_DENIED   "fa2990951cc24195881098a6ed47d85e" /* [Access] does not let it read */
#define LOG_CLIENT_EXPELLED "fe9e2526033a482284c68508e5192c42" /* it broke the rules */
#define LOG_LINES_LEFT_OUT  "0ee495d4bc3b4d81b03ef37ebcc70c64" /* about clients of one user */

/* the daemon */
#define LOG_CONFIGURATION_WRONG "39e3510c4552419380e86a81367ac360" /* exit status 2 */
#define LOG_CAMERA_AWAITED      "a415869797564f59813c8102fdb701ef" /* none of that name yet */
#define LOG_START_FAILED        "352a49cf4a904bd9abaa03019e3a3f0d" /* exit status 1 */
#define LOG_START_DELAYED       "f7d6a460b8db433aa3a8198e4e677da7" /* it failed again and again */
#define LOG_RELOADED            "7bf1cb54bd3345a3ada33b539dcb9e51"
#define LOG_RELOAD_FAILED       "4b72744ca0764d0a9c41cdefe3b66c05" /* it goes on as it was */
#define LOG_NAME_UNKNOWN        "4ae7c187a6164d19ae8ac179f32b7d0b" /* in [Access] */
#define LOG_REALTIME_REFUSED    "9558f2d1256a416882cdc35093fb4ca2" /* goes on without */
#define LOG_NO_DESCRIPTORS      "e9fde1bf1f654a189844ef6328c7afee" /* for another client */

#endif
