"""Runs a test program in a virtual machine with Debian's kernel and its virtual cameras.

The machine's root is this one's, shared read-only; the kernel's package is downloaded and unpacked
below the build folder, never installed. The program's results come over the second serial line as
TAP, which is printed when the machine has stopped.
"""

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

BUILD = os.environ["BUILD"]
KERNEL = os.path.join(BUILD, "vm", "kernel")
HERE = os.path.dirname(os.path.abspath(__file__))
TIMEOUT_S = 1100
NEEDED = ("qemu-system-x86_64", "busybox", "cpio", "modprobe", "depmod", "apt-get", "dpkg")
MODULES = ("virtio_pci", "9pnet_virtio", "9p", "vivid")
# Where the guest finds the build folder.
GUEST_BUILD = "/tmp/build"


def say(text):
    print(text, file=sys.stderr, flush=True)


def find_tool(name):
    return shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")


def fetch_kernel():
    """Unpacks the package that linux-image-amd64 depends on, once."""
    if glob.glob(f"{KERNEL}/boot/vmlinuz-*"):
        return
    depends = subprocess.run(["apt-cache", "depends", "linux-image-amd64"], text=True,
                             capture_output=True, check=True).stdout
    package = re.search(r"Depends: (linux-image-\S+)", depends)[1]
    os.makedirs(os.path.dirname(KERNEL), exist_ok=True)
    with tempfile.TemporaryDirectory(dir=os.path.dirname(KERNEL)) as folder:
        subprocess.run(["apt-get", "-q", "download", package], cwd=folder, check=True,
                       stdout=subprocess.DEVNULL)
        subprocess.run(["dpkg", "-x", glob.glob(f"{folder}/*.deb")[0], f"{folder}/kernel"],
                       check=True)
        release = os.path.basename(glob.glob(f"{folder}/kernel/lib/modules/*")[0])
        subprocess.run([find_tool("depmod"), "-b", f"{folder}/kernel", release], check=True)
        os.rename(f"{folder}/kernel", KERNEL)


def list_modules():
    """Files of the modules that the guest loads, in order."""
    release = os.path.basename(glob.glob(f"{KERNEL}/lib/modules/*")[0])
    shown = subprocess.run([find_tool("modprobe"), "-d", KERNEL, "-S", release, "--show-depends",
                            "-a", *MODULES], text=True, capture_output=True, check=True).stdout
    return list(dict.fromkeys(re.findall(r"^insmod (\S+)", shown, flags=re.M)))


def make_initramfs(folder, command):
    """busybox, the modules in order, and the script that runs the command."""
    root = os.path.join(folder, "root")
    for name in ("bin", "modules", "proc", "sys", "dev", "host"):
        os.makedirs(os.path.join(root, name))
    shutil.copy(find_tool("busybox"), os.path.join(root, "bin"))
    shutil.copy(os.path.join(HERE, "init"), os.path.join(root, "init"))
    os.chmod(os.path.join(root, "init"), 0o755)
    with open(os.path.join(root, "command"), "w", encoding="utf-8") as file:
        file.write(command)
    with open(os.path.join(root, "modules", "order"), "w", encoding="utf-8") as order:
        for module in list_modules():
            name = os.path.basename(module)
            if name.endswith(".xz"):
                name = name[:-3]
                with open(os.path.join(root, "modules", name), "wb") as file:
                    subprocess.run(["xz", "-dc", module], stdout=file, check=True)
            else:
                shutil.copy(module, os.path.join(root, "modules", name))
            order.write(name + "\n")
    image = os.path.join(folder, "initramfs")
    files = subprocess.run(["find", "."], cwd=root, capture_output=True, check=True).stdout
    with open(image, "wb") as file:
        subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=root, input=files, stdout=file,
                       check=True)
    return image


def share(tag, path):
    return ["-virtfs", f"local,path={path},mount_tag={tag},security_model=none,readonly=on,"
                       "multidevs=remap"]


def boot(image, console, results):
    """Runs the machine until it stops. Emulated: acceleration is not there on every machine."""
    command = [find_tool("qemu-system-x86_64"), "-accel", "tcg,thread=multi", "-cpu", "max",
               "-smp", "2", "-m", "1G", "-display", "none", "-no-reboot", "-nic", "none",
               "-kernel", glob.glob(f"{KERNEL}/boot/vmlinuz-*")[0], "-initrd", image,
               "-append", "console=ttyS0 quiet panic=-1", "-serial", f"file:{console}",
               "-serial", f"file:{results}", *share("host", "/"), *share("build", BUILD)]
    try:
        subprocess.run(command, stdin=subprocess.DEVNULL, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        say(f"the machine did not stop within {TIMEOUT_S} s")


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read().replace("\r", "")


def guest_path(path):
    return os.path.join(GUEST_BUILD, os.path.relpath(path, BUILD))


def main():
    missing = [name for name in NEEDED if not find_tool(name)]
    if missing:
        print(f"1..0 # SKIP {', '.join(missing)} not found; ./tests/run vm installs what it takes")
        return 0
    try:
        fetch_kernel()
    except (subprocess.CalledProcessError, TypeError) as error:
        say(f"the kernel's package cannot be downloaded: {error}; it takes a network, once, and "
            "`apt-get update`")
        return 1
    variables = " ".join(f"{name}={guest_path(os.environ[name])}"
                         for name in ("SHMFRAMED", "SHMFRAME_CAMERA"))
    selection = f" CK_RUN_CASE={os.environ['CK_RUN_CASE']}" if "CK_RUN_CASE" in os.environ else ""
    command = f"{variables}{selection} TAP=/dev/ttyS1 {guest_path(sys.argv[1])}\n"
    with tempfile.TemporaryDirectory(prefix="shmframe-vm-") as folder:
        console, results = os.path.join(folder, "console"), os.path.join(folder, "results")
        boot(make_initramfs(folder, command), console, results)
        tap = read(results)
        print(tap, end="", flush=True)
        has_passed = (re.search(r"^1\.\.[1-9]", tap, flags=re.M)
                      and not re.search(r"^not ok", tap, flags=re.M)
                      and "the command ended with 0" in read(console))
        if not has_passed:
            say("The machine's console:\n" + read(console))
        return 0 if has_passed else 1


if __name__ == "__main__":
    sys.exit(main())
