#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Run a test in a virtual machine whose kernel has what this machine's kernel may lack.

set -euo pipefail

usage() {
	cat <<'TEXT'
usage: tests/kernel/vm.sh [--cache DIRECTORY] [--seconds N] [--help] [COMMAND...]

Boots Debian's kernel under qemu with this machine's files as its own, which it
cannot change: what it writes is in its memory. Loads the module for kernel TLS,
runs COMMAND as root in the source directory, and exits with its status.
Without COMMAND: tests/kernel/kernel_tls_test.py. PIPIT_DAEMON and PIPIT_BUILD
are those of the caller.

Needs x86_64, qemu-system-x86_64, busybox (static), cpio, dpkg-deb and apt-get,
which downloads the kernel once (70 MB, installed nowhere). Without one of them
it says so and exits with 77. The machine is emulated, about ten times slower
than this one.

  --cache DIRECTORY  where the kernel is kept (build/kernel-vm)
  --seconds N        stop the machine after N seconds (900)
  --help             show this text
TEXT
}

# Each with those that it needs.
readonly modules=(virtio_pci 9pnet_virtio 9p overlay aesni_intel gcm ccm ghash_clmulni_intel chacha20poly1305 chacha_x86_64 poly1305_x86_64 tls)
readonly module_directories=(net/tls net/9p fs/9p fs/overlayfs fs/netfs fs/fscache drivers/virtio crypto arch/x86/crypto lib lib/crypto)
source_directory=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
readonly source_directory
cache=$source_directory/build/kernel-vm
seconds=900
command=(tests/kernel/kernel_tls_test.py)
work=

skip() {
	printf 'vm.sh: skipped: %s\n' "$*" >&2
	exit 77
}

parse_options() {
	while (($# > 0)); do
		case $1 in
		--cache) cache=${2:?a directory} && shift ;;
		--seconds) seconds=${2:?a number} && shift ;;
		--help | -h)
			usage
			exit 0
			;;
		-*)
			usage >&2
			exit 2
			;;
		*)
			command=("$@")
			return
			;;
		esac
		shift
	done
}

check_needs() {
	local program

	[[ $(uname -m) == x86_64 ]] || skip 'this machine is no x86_64'
	for program in qemu-system-x86_64 busybox cpio dpkg-deb apt-get apt-cache; do
		command -v "$program" >/dev/null || skip "not found: $program (Debian: qemu-system-x86 busybox-static cpio dpkg apt)"
	done
}

fetch_kernel() {
	local package

	[[ -d $cache/kernel/boot ]] && return
	package=$(apt-cache depends linux-image-amd64 | grep -o 'linux-image-[0-9][^ ]*' | head -1)
	[[ -n $package ]] || skip 'apt knows no linux-image-amd64: it is on Debian, after apt-get update'
	mkdir -p "$cache"
	(cd "$cache" && apt-get download --quiet "$package" >&2) || skip "cannot download $package"
	dpkg-deb -x "$cache/$package"_*.deb "$cache/kernel.part"
	mv "$cache/kernel.part" "$cache/kernel"
	rm "$cache/$package"_*.deb
}

# The first program of the machine: makes the files of this machine its own, and goes on with the command.
write_init() {
	cat <<TEXT
#!/bin/busybox sh
PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc && mount -t sysfs sys /sys && mount -t devtmpfs dev /dev
depmod
for module in ${modules[*]}; do modprobe \$module || echo "no module \$module"; done
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro root /lower
mount -t tmpfs tmp /upper && mkdir /upper/files /upper/work
mount -t overlay -o lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work root /root
for directory in proc sys dev; do mount --move /\$directory /root/\$directory; done
mkdir -p /root/dev/shm && mount -t tmpfs tmp /root/dev/shm
ifconfig lo 127.0.0.1 up
cp /command /root/tmp/kernel-vm-command
exec switch_root /root /bin/bash /tmp/kernel-vm-command
TEXT
}

write_command() {
	printf 'export PATH=%q HOME=/root\n' "$PATH"
	[[ -z ${PIPIT_DAEMON-} ]] || printf 'export PIPIT_DAEMON=%q\n' "$PIPIT_DAEMON"
	[[ -z ${PIPIT_BUILD-} ]] || printf 'export PIPIT_BUILD=%q\n' "$PIPIT_BUILD"
	printf 'cd %q\nuname -sr\n' "$source_directory"
	printf '%q ' "${command[@]}"
	# shellcheck disable=SC2016 # for the machine's shell
	printf '\necho "status $?"\necho o >/proc/sysrq-trigger\nsleep 60\n'
}

make_image() {
	local tree=$work/tree modules_of directory
	modules_of=$(echo "$cache"/kernel/lib/modules/*)

	mkdir -p "$tree"/{bin,proc,sys,dev,lower,upper,root}
	cp "$(command -v busybox)" "$tree/bin/busybox"
	for directory in "${module_directories[@]}"; do
		[[ -d $modules_of/kernel/$directory ]] || continue
		mkdir -p "$tree/lib/modules/${modules_of##*/}/kernel/$directory"
		find "$modules_of/kernel/$directory" -maxdepth 1 -name '*.ko*' -exec cp -t "$tree/lib/modules/${modules_of##*/}/kernel/$directory" {} +
	done
	cp "$modules_of"/modules.{builtin,order} "$tree/lib/modules/${modules_of##*/}/"
	write_init >"$tree/init"
	chmod +x "$tree/init"
	write_command >"$tree/command"
	(cd "$tree" && find . | cpio --create --format=newc --quiet | gzip -1) >"$work/image"
}

boot() {
	timeout "$seconds" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 3072 -nographic -no-reboot -nic none \
		-kernel "$(echo "$cache"/kernel/boot/vmlinuz-*)" -initrd "$work/image" -append 'console=ttyS0 quiet panic=-1' \
		-virtfs local,path=/,mount_tag=root,security_model=none,readonly=on,multidevs=remap </dev/null |
		sed -u 's|\r||g' | tee "$work/said" || true
}

main() {
	local status

	parse_options "$@"
	check_needs
	fetch_kernel
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	make_image
	boot
	status=$(sed -n 's/^status \([0-9]*\)$/\1/p' "$work/said" | tail -1)
	if [[ -z $status ]]; then
		printf 'vm.sh: the machine ended, or was stopped after %s s, before the command did\n' "$seconds" >&2
		status=1
	fi
	exit "$status"
}

main "$@"
