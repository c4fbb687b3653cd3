# SPDX-License-Identifier: MIT
"""What guest and system-guest have in common: the cache, the kernel, the initramfs, QEMU."""

import argparse
import fcntl
import lzma
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "camtap-vm"
PACKAGES = {
    "qemu-system-x86_64": "qemu-system-x86",
    "busybox": "busybox-static",
    "modprobe": "kmod",
}
TIMED_OUT, NO_STATUS = 124, 125
MODULE_OPTIONS = {"vivid": "n_devs=1 node_types=0x1"}  # one capture device, nothing else


def die(message, status=NO_STATUS):
    print(f"guest: {message}", file=sys.stderr)
    sys.exit(status)


def output(*command, **options):
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, **options)
    if result.returncode != 0:
        die(f"failed: {shlex.join(map(str, command))}")
    return result.stdout


def cached(prefix, make):
    """The folder PREFIX* of the cache. It is made once and kept, so that results do not change
    because Debian published something, and later runs need no network. make(part) fills a folder
    and returns the name that it is to have."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for tree in CACHE.glob(f"{prefix}*"):
            return tree
        part = CACHE / "part"  # renamed when complete: a run that is killed leaves no half folder
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        return part.rename(CACHE / make(part))


def unpack(package, folder):
    """Downloads a Debian package, as "NAME" or "NAME=VERSION", and unpacks it."""
    sandbox = "APT::Sandbox::User=root"  # user _apt may not write here; silences the warning
    output("apt-get", "-o", sandbox, "download", package, cwd=folder)
    (deb,) = folder.glob("*.deb")
    output("dpkg-deb", "-x", deb, folder)
    deb.unlink()
    return deb.name.removesuffix(".deb")


def kernel_tree():
    """The unpacked kernel package."""
    return cached("linux-image-", make_kernel_tree)


def make_kernel_tree(part):
    shown = output("apt-cache", "show", "--no-all-versions", "linux-image-amd64")
    package, version = re.search(r"^Depends: (\S+) \(= (\S+)\)", shown, re.MULTILINE).groups()
    unpack(f"{package}={version}", part)
    if not (part / "lib").exists():  # a package for merged /usr; kmod looks in lib
        (part / "lib").symlink_to("usr/lib")
    output("depmod", "-b", part, release(part))
    vmlinuz = part / "boot" / f"vmlinuz-{release(part)}"
    (part / "kernel").write_bytes(unpacked(vmlinuz.read_bytes()))
    return f"{package}_{version}"


def release(tree):
    """The kernel's release, the name of its folder in lib/modules."""
    return next(tree.glob("boot/vmlinuz-*")).name.removeprefix("vmlinuz-")


def unpacked(image):
    """The ELF kernel in a bzImage, if it is packed with xz: the guest would need 4 s to unpack it.
    (Offsets: setup_sects and payload_offset of Documentation/arch/x86/boot.rst.)"""
    start = (image[0x1F1] + 1) * 512 + int.from_bytes(image[0x248:0x24C], "little")
    packed = image[start:]
    return lzma.LZMADecompressor().decompress(packed) if packed.startswith(b"\xfd7zXZ") else image


def module_files(tree, modules):
    """What to insmod, in order, as {file: options}, for "NAME[:OPTION=VALUE,...] ..."."""
    files = {}
    for module in modules.split():
        name, _, options = module.partition(":")
        shown = output("modprobe", "-d", tree, "-S", release(tree), "--show-depends", name,
                       "-C", "/dev/null")  # the host's modprobe.d is not about the guest
        needed = re.findall(r"^insmod (.*\S)", shown, re.MULTILINE)
        for file in needed:  # the module itself comes last
            files.setdefault(file, "")
        if needed:  # none: it is built in
            options = re.sub(r",(?=\w+=)", " ", options)  # other commas are within a value
            files[needed[-1]] = options or MODULE_OPTIONS.get(name, "")
    return files


def libraries(program):
    """The shared libraries of a program as (path in the guest, path here). In the guest they lie in
    /lib whatever folder they come from: a RUNPATH into the build tree does not exist there."""
    # ldd fails for a static program, which is none of our concern
    ldd = subprocess.run(["ldd", program], capture_output=True, text=True)
    for line in ldd.stdout.splitlines():
        if "not found" in line:
            die(f"{program}: {line.strip()}")
        if library := re.match(r"\s*(\S+) => (/\S+) ", line):
            yield f"/lib/{library[1]}", library[2]
        elif loader := re.match(r"\s*(/\S+) ", line):
            yield loader[1], loader[1]


class Initramfs:
    """A cpio archive in the format "newc" (cpio(5)); everything in it belongs to root."""

    def __init__(self):
        self.files = {}  # path without the leading slash: (mode, content)

    def add(self, path, content, mode=0o644):
        if self.files.setdefault(path.lstrip("/"), (mode, content)) != (mode, content):
            die(f"two different files for {path} in the guest")

    def copy(self, source, path):
        self.add(path, Path(source).read_bytes(), 0o755 if os.access(source, os.X_OK) else 0o644)

    def link(self, path, target):
        self.files[path.lstrip("/")] = (0o120777, os.fsencode(target))

    def add_modules(self, files):
        """For /init to insmod: a line in /vm/modules for each, with its options."""
        load = []
        for file, options in files.items():
            module = Path(file).name.removesuffix(".xz")
            with lzma.open(file) if file.endswith(".xz") else open(file, "rb") as content:
                self.add(f"/vm/{module}", content.read())
            load.append(f"{module} {options}\n")
        self.add("/vm/modules", "".join(load).encode())

    def archive(self):
        folders = {str(folder) for path in self.files for folder in Path(path).parents}  # "." is /
        entries = [(folder, 0o40755, b"") for folder in sorted(folders)]
        for path, (mode, content) in self.files.items():
            entries.append((path, mode if mode & 0o170000 else 0o100000 | mode, content))
        archive = bytearray()
        for inode, (path, mode, content) in enumerate([*entries, ("TRAILER!!!", 0, b"")]):
            name = path.encode() + b"\0"
            # inode, mode, uid, gid, links, mtime, size, 4 of devices, size of name, checksum
            fields = (inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name), 0)
            archive += b"070701" + b"".join(b"%08x" % field for field in fields)
            for part in (name, content):
                archive += part
                archive += bytes(-len(archive) % 4)
        return archive


def make_parser(description, memory):
    """The options that both guests have; parse() checks them."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--memory", type=int, default=memory, metavar="MB")
    parser.add_argument("--copy", action="append", default=[], metavar="FILE:DEST", type=copy_pair)
    parser.add_argument("--share", type=Path, metavar="DIR",
                        help="the script's $SHARE (without: a temporary folder)")
    parser.add_argument("--count", action="store_true",
                        help="one processor, whose time is the number of its instructions: what the "
                             "host does besides is in no measurement")
    parser.add_argument("--timeout", type=float, default=120, metavar="SECONDS")
    parser.add_argument("--shell", action="store_true", help="a shell instead of a script")
    parser.add_argument("script", nargs="?")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    return parser


def copy_pair(text):
    source, path = text.rsplit(":", 1)
    return source, path


def parse(parser, packages=()):
    """Reads the command line, and looks for the programs that are needed: {program: package}."""
    arguments = parser.parse_args()
    if bool(arguments.script) == arguments.shell:
        parser.error("either a script or --shell")
    if arguments.shell:
        arguments.timeout = None
    os.environ["PATH"] += ":/usr/sbin:/sbin"  # kmod, also for users who lack these
    for command, package in {**PACKAGES, **dict(packages)}.items():
        if not shutil.which(command):
            die(f"{command} is missing: apt-get install {package}")
    return arguments


def boot(arguments, folder, initrd, options):
    """Runs the guest; returns the exit status that it wrote, None if it did not."""
    status, share = folder / "status", arguments.share
    accelerator, kernel = ["-accel", "tcg,thread=multi", "-smp", "2"], ""
    if arguments.count:
        # 1 ns each; the time in which it would sleep is left out. The kernel would not trust that clock.
        accelerator = ["-accel", "tcg,thread=single", "-smp", "1", "-icount", "shift=0,sleep=off"]
        kernel = "tsc=reliable"
    (folder / "initrd").write_bytes(initrd)
    if not share:
        share = folder / "share"
        share.mkdir()
        share.chmod(0o777)  # for all users of the guest; `folder` keeps those of the host out
    subprocess.run([
        "setpriv", "--pdeathsig", "KILL",  # no guest survives a caller that kills us
        # kvm would be faster, but aborts or hangs on hosts that are virtual machines themselves
        "qemu-system-x86_64", *accelerator, "-cpu", "max",
        "-m", str(arguments.memory), "-nodefaults", "-no-reboot", "-display", "none",
        "-kernel", kernel_tree() / "kernel", "-initrd", folder / "initrd",
        # an oops is a failed run, not a line that nobody reads; on a busy host the kernel counts
        # too few timer interrupts at boot and would panic
        "-append", f"console=ttyS0 quiet oops=panic panic=-1 no_timer_check {kernel}",
        "-serial", "mon:stdio" if arguments.shell else "stdio",
        "-serial", f"file:{status}",
        "-virtfs", f"local,path={share},mount_tag=share,security_model=none", *options,
    ], stdin=None if arguments.shell else subprocess.DEVNULL, timeout=arguments.timeout)
    found = re.match(rb"\d+", status.read_bytes()) if status.exists() else None
    return found and int(found[0])


def run(arguments, make_initrd, *options):
    """Boots a guest with that initramfs, and ends with the exit status of what ran in it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # the temporary folder is to go
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    with tempfile.TemporaryDirectory(prefix="camtap-vm-") as folder:
        try:
            status = boot(arguments, Path(folder), make_initrd(), options)
        except subprocess.TimeoutExpired:
            die(f"no end after {arguments.timeout:g} s", TIMED_OUT)
        except OSError as error:
            die(error)
    if status is None:
        die("the guest ended without an exit status")
    sys.exit(status)
