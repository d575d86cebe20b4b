# SPDX-License-Identifier: MIT
"""Folders with headers and libraries of another machine, made by apt without changing this one: apt gets a state, a cache and an
architecture of its own, and what it downloads is only unpacked."""

import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/fresh"))
import debian  # noqa: E402

LIBRARIES = ("libevent-dev", "libcjson-dev", "zlib1g-dev", "nettle-dev", "libssl-dev", "check", "libc6-dev")
# The source packages of the same, for musl; their CMake options. Debian's zlib lacks a file that its CMake wants.
SOURCES = (
    ("zlib", None),
    ("cjson", ("-DENABLE_CJSON_TEST=OFF", "-DENABLE_CUSTOM_COMPILER_FLAGS=OFF", "-DBUILD_SHARED_LIBS=OFF")),
    ("libevent", ("-DEVENT__DISABLE_OPENSSL=ON", "-DEVENT__DISABLE_TESTS=ON", "-DEVENT__DISABLE_SAMPLES=ON",
                  "-DEVENT__DISABLE_BENCHMARK=ON", "-DEVENT__LIBRARY_TYPE=STATIC")),
    ("check", ("-DCHECK_ENABLE_TESTS=OFF", "-DBUILD_TESTING=OFF")),
)
KEYRING = pathlib.Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def run(*words, **options):
    """Prints what the command printed, if it fails."""
    done = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options)
    if done.returncode != 0:
        sys.exit(f"FAILED: {' '.join(map(str, words))}\n{done.stdout[-8000:]}")
    return done.stdout


def apt(folder, kind, architecture):
    """The environment of an apt that knows the suite of this machine, without its updates, and that nothing is installed.
    kind: deb or deb-src."""
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "status").touch()
    suite = debian.codename()
    signed = f" [signed-by={KEYRING}]" if KEYRING.exists() else ""
    (folder / "sources.list").write_text(f"{kind}{signed} {debian.archives(suite)[suite]} {suite} main\n")
    (folder / "apt.conf").write_text(f"""
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
Dir::State "{folder}";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "-";
""")
    return {**os.environ, "APT_CONFIG": str(folder / "apt.conf")}


def is_made(root, recipe):
    stamp = root / ".recipe"
    return stamp.exists() and stamp.read_text() == recipe


def unpack_binaries(root, folder, architecture):
    """The libraries for an architecture of Debian."""
    recipe = f"{debian.codename()} {architecture} {' '.join(LIBRARIES)}\n"
    if is_made(root, recipe):
        return
    debian.remove(root)
    environment = apt(folder, "deb", architecture)
    run("apt-get", "update", env=environment)
    run("apt-get", "install", "-y", "--download-only", *LIBRARIES, env=environment)
    root.mkdir(parents=True)
    for package in sorted((folder / "cache/archives").glob("*.deb")):
        run("dpkg-deb", "-x", package, root)
    (root / ".recipe").write_text(recipe)


def link_kernel_headers(include, multiarch):
    """musl has none of its own."""
    include.mkdir(parents=True)
    for name in ("linux", "asm-generic"):
        (include / name).symlink_to(f"/usr/include/{name}")
    (include / "asm").symlink_to(f"/usr/include/{multiarch}/asm")


def build_sources(root, folder, toolchain, jobs):
    """The libraries, built for musl from Debian's source packages."""
    recipe = f"{debian.codename()} {SOURCES}\n{toolchain.read_text()}"
    if is_made(root, recipe):
        return
    debian.remove(root)
    debian.remove(folder / "sources")
    link_kernel_headers(root / "include", run("dpkg-architecture", "-qDEB_HOST_MULTIARCH").strip())
    environment = apt(folder, "deb-src", run("dpkg", "--print-architecture").strip())
    run("apt-get", "update", env=environment)
    sources = folder / "sources"
    sources.mkdir()
    for name, options in SOURCES:
        run("apt-get", "source", "--download-only", name, cwd=sources, env=environment)
        description = next(sources.glob(f"{name}_*.dsc"))
        run("dpkg-source", "--no-check", "-x", description, sources / name, cwd=sources)
        if options is None:
            run("./configure", "--static", f"--prefix={root}", cwd=sources / name, env={**os.environ, "CC": "musl-gcc", "CFLAGS": "-O2 -fPIC"})
            run("make", "-j", jobs, "install", cwd=sources / name)
            continue
        run("cmake", "-S", sources / name, "-B", sources / f"{name}-build", f"-DCMAKE_TOOLCHAIN_FILE={toolchain}",
            f"-DCMAKE_INSTALL_PREFIX={root}", "-DCMAKE_INSTALL_LIBDIR=lib", "-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_POSITION_INDEPENDENT_CODE=ON",
            "-DCMAKE_POLICY_VERSION_MINIMUM=3.5", *options)
        run("cmake", "--build", sources / f"{name}-build", "-j", jobs)
        run("cmake", "--install", sources / f"{name}-build")
    # Debian's check.pc names a library that only its own build makes.
    (root / "lib/libcheck_pic.a").symlink_to("libcheck.a")
    # musl has no sys/queue.h, which evhttp's lists need; Alpine's package of BSD headers has one, and libevent this one.
    (root / "include/sys").mkdir(exist_ok=True)
    shutil.copy(sources / "libevent/compat/sys/queue.h", root / "include/sys")
    (root / ".recipe").write_text(recipe)


def missing(programs):
    return [name for name in programs if not shutil.which(name)]
