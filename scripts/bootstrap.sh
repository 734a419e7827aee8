# shellcheck shell=sh
# What a machine needs before Ansible can run: a Python with its virtual environments, and a few programs. Sourced by the other scripts.
set -eu
ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
export ROOT
VENV=$ROOT/.venv
PATH=$VENV/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ANSIBLE_CONFIG=$ROOT/ansible.cfg
ANSIBLE_COLLECTIONS_PATH=$ROOT/.ansible/collections
ANSIBLE_STDOUT_CALLBACK=stratiform.cloud.steps
LC_ALL=C.UTF-8
export PATH ANSIBLE_CONFIG ANSIBLE_COLLECTIONS_PATH ANSIBLE_STDOUT_CALLBACK LC_ALL
cd "$ROOT"

say() { printf '%s\n' "$*"; }
now() { date +%s; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# step NAME COMMAND...: run it, and say how long it took.
step() {
    step_name=$1
    shift
    step_start=$(now)
    say "== $step_name"
    "$@" || die "$step_name failed"
    say "== $step_name: $(($(now) - step_start)) s"
}

find_python() {
    for candidate in /usr/bin/python3 python3.13 python3.12 python3.11 python3; do
        if "$candidate" -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

# What every verb needs: Python and what libvirt's binding is built with, and the programs that make the first image.
BASICS="python3 python3-venv gcc libc6-dev python3-dev pkg-config libvirt-dev e2fsprogs openssh-client qemu-utils ca-certificates"

# missing_packages PACKAGE...: names what is missing, one a line, with one look at dpkg.
missing_packages() {
    wanted=$*
    if command -v dpkg-query >/dev/null 2>&1; then
        # shellcheck disable=SC2086
        present=$(dpkg-query -W -f '${db:Status-Status}:${Package}:\n' $wanted 2>/dev/null | grep '^installed:' || true)
        for package in $wanted; do
            case $present in *":$package:"*) ;; *) printf '%s\n' "$package" ;; esac
        done
    else
        for program in mkfs.ext4 ssh qemu-img gcc pkg-config; do
            command -v "$program" >/dev/null 2>&1 || printf '%s\n' "$program"
        done
    fi
}

# need PACKAGE...: installs those that are missing, and says so first.
need() {
    missing=$(missing_packages "$@" | tr '\n' ' ')
    [ -n "${missing% }" ] || return 0
    say "This machine lacks: $missing"
    if ! command -v apt-get >/dev/null 2>&1; then
        die "install these with your system's package manager, then run this again (only Debian's is known here)"
    fi
    [ "$(id -u)" = 0 ] || die "run this as root, or install them first: apt-get install $missing"
    # shellcheck disable=SC2086
    set -- apt-get -q -y -o DPkg::Lock::Timeout=300 --no-install-recommends install $missing
    DEBIAN_FRONTEND=noninteractive "$@" >"$ROOT/.ansible/apt.log" 2>&1 ||
        { apt-get -q -o DPkg::Lock::Timeout=300 update >>"$ROOT/.ansible/apt.log" 2>&1 && DEBIAN_FRONTEND=noninteractive "$@" >>"$ROOT/.ansible/apt.log" 2>&1; } ||
        { tail -n 20 "$ROOT/.ansible/apt.log" >&2; return 1; }
}

# The virtual environment is made anew only when the requirements or Python changed.
make_environment() {
    python=$(find_python) || die "no Python from 3.11 up was found, not even after installing python3"
    wanted=$({ "$python" --version; cat "$ROOT/requirements.txt" "$ROOT/api/requirements.txt"; } | sha256sum | cut -c 1-32)
    [ "$(cat "$VENV/.stratiform-requirements" 2>/dev/null)" = "$wanted" ] && return 0
    [ -x "$VENV/bin/pip" ] || { rm -rf "$VENV"; "$python" -m venv "$VENV"; }
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check -r "$ROOT/requirements.txt" >"$ROOT/.ansible/pip.log" 2>&1 ||
        { tail -n 20 "$ROOT/.ansible/pip.log" >&2; return 1; }
    printf '%s\n' "$wanted" >"$VENV/.stratiform-requirements"
}

# The repository is the collection stratiform.cloud: Ansible finds it through this link, whatever the clone is called.
link_collection() {
    link=$ROOT/.ansible/collections/ansible_collections/stratiform/cloud
    [ "$(readlink "$link" 2>/dev/null)" = "$ROOT" ] && return 0
    mkdir -p "$(dirname "$link")"
    ln -sfn "$ROOT" "$link"
}

bootstrap() {
    mkdir -p "$ROOT/.ansible"
    # shellcheck disable=SC2086
    need $BASICS
    make_environment
    link_collection
}
