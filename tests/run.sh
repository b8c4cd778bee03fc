#!/usr/bin/env bash
# Runs `cargo test --features autograd-check` after finding libtorch, or fetching it once.
# Arguments are passed on, for example `tests/run.sh --release -- gradcheck`.
#
# Sources of libtorch, in this order: the one that LIBTORCH or LIBTORCH_USE_PYTORCH names (see tch's README); the copy of
# an earlier run in the user's cache folder; the C++ part of PyTorch's wheel, fetched by pip into that folder; the
# download of torch-sys (feature download-libtorch), which needs an open network.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

readonly VERSION=2.13.0
readonly REQUIREMENTS=tests/libtorch-requirements.txt
features=autograd-check
readonly CONFIG=.cargo/config.toml
readonly CONFIG_MARK='# Written by tests/run.sh, and again whenever it runs.'

say() { printf 'tests/run.sh: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

# Prints the sizes of the libraries of the copy $1, one per line, in an order that does not depend on the locale.
library_sizes() { (cd -- "$1/lib" 2>/dev/null && LC_ALL=C && wc -c -- *); }

# Succeeds if the copy $1 is complete.
complete() {
    [[ -s $1/sizes && -f $1/include/torch/csrc/api/include/torch/torch.h ]] &&
        cmp -s "$1/sizes" <(library_sizes "$1")
}

# Unpacks from the wheels in the folder $1 the files needed to link and run without a GPU, as $2/{include,lib}.
unpack() {
    python3 - "$1" "$2" <<'PYTHON'
import pathlib, re, shutil, sys, zipfile

wheels, out = map(pathlib.Path, sys.argv[1:])
unneeded = re.compile("cuda[._]|cuda_|nvrtc|nvshmem|python|shm|global_deps")
for wheel in wheels.glob("*.whl"):
    archive = zipfile.ZipFile(wheel)
    for name in archive.namelist():
        folder, _, file = name.rpartition("/")
        if name.startswith("torch/include/") and file:
            target = out / name[len("torch/") :]
        elif folder == "torch/lib" and file and not unneeded.search(file):
            target = out / "lib" / file
        elif file in ("libcudart.so.13", "libcupti.so.13"):
            target = out / "lib" / file
        else:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(name) as source, target.open("wb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
PYTHON
}

# Fetches libtorch for the wheel platforms $2.. into the folder $1, which appears complete or not at all: it is built
# under a temporary name beside it and renamed at the end. If two runs do so at once, the first to finish wins.
provision() {
    local target=$1 platforms=() platform cache work
    shift
    for platform; do platforms+=(--platform "$platform"); done
    cache=$(dirname -- "$target")
    mkdir -p -- "$cache" || die "cannot create the cache folder $cache for libtorch: set XDG_CACHE_HOME to a writable folder"
    find "$cache" -maxdepth 1 -name '.unfinished-*' -mtime +0 -exec rm -rf {} + # left by killed runs
    work=$(mktemp -d -- "$cache/.unfinished-XXXXXX")
    # shellcheck disable=SC2064 # $work is local: it has to be expanded now.
    trap "rm -rf -- $(printf %q "$work")" EXIT

    say "fetching libtorch $VERSION (once, up to 540 MB) into $target"
    python3 -m pip download --no-deps --no-cache-dir --disable-pip-version-check --require-hashes -r "$REQUIREMENTS" \
        --only-binary=:all: --implementation cp --python-version 3.12 --abi cp312 --abi none "${platforms[@]}" \
        --dest "$work/wheels" >&2 ||
        die "pip could not fetch libtorch (see above); to use another copy of libtorch $VERSION: LIBTORCH=<its folder> $0"
    unpack "$work/wheels" "$work/libtorch" || die "cannot unpack libtorch into $cache (see above)"
    if [[ -e $work/libtorch/lib/libtorch_cpu.so ]]; then
        # The wheel's libtorch.so is an empty library that depends on both the CPU and the CUDA library.
        ln -sf libtorch_cpu.so "$work/libtorch/lib/libtorch.so"
        ln -sf libgomp.so.1 "$work/libtorch/lib/libgomp.so"
    fi
    echo "$VERSION" >"$work/libtorch/build-version"
    library_sizes "$work/libtorch" >"$work/libtorch/sizes"
    complete "$target" || rm -rf -- "$target"
    python3 -c 'import os, sys; os.rename(*sys.argv[1:])' "$work/libtorch" "$target" 2>/dev/null || complete "$target" ||
        die "cannot move libtorch to $target"
    rm -rf -- "$work"
    trap - EXIT
}

# Configures cargo to pass LIBTORCH=$1 to build scripts in this checkout, now and in later calls by hand. The
# environment still takes precedence.
configure_cargo() {
    local escaped=${1//\\/\\\\} content
    content=$(printf '%s\n[env]\nLIBTORCH = "%s"\n' "$CONFIG_MARK" "${escaped//\"/\\\"}")
    if [[ -e $CONFIG && $(head -n 1 -- "$CONFIG") != "$CONFIG_MARK" ]]; then
        say "not changing your $CONFIG; to call cargo by hand, add to it: [env] LIBTORCH = \"$1\""
        export LIBTORCH=$1
    elif [[ ! -e $CONFIG || $(cat -- "$CONFIG") != "$content" ]]; then
        mkdir -p .cargo
        printf '%s\n' "$content" >"$CONFIG"
    fi
}

# Succeeds if a cargo configuration that this script did not write sets LIBTORCH.
configured_by_user() {
    [[ -e $CONFIG && $(head -n 1 -- "$CONFIG") != "$CONFIG_MARK" ]] && grep -q '^[^#]*LIBTORCH' -- "$CONFIG"
}

# Runs the tests. Each start of a program that is linked to libtorch takes 0.4 s, and there are some 600: those that don't need
# it start one without.
run() {
    local program
    if [[ $# == 0 ]]; then
        program=$(build --message-format=json-render-diagnostics | sed -n 's/.*"executable":"\([^"]*\/onelayer\)".*/\1/p')
        export ONELAYER_WITHOUT_LIBTORCH=$program-without-libtorch
        cp -- "$program" "$ONELAYER_WITHOUT_LIBTORCH"
    fi
    # Many tests wait for a process, a server or a browser.
    export RUST_TEST_THREADS=${RUST_TEST_THREADS:-$((2 * $(getconf _NPROCESSORS_ONLN)))}
    exec cargo test --features "$features" "$@"
}

# Builds the program without libtorch. The example needs the packages of the tests, and so all packages have the features that
# they have in the tests, and are compiled once.
build() { cargo build --bin onelayer --example cut_sample "$@"; }

main() {
    local platforms=() target
    if [[ -n ${LIBTORCH:-}${LIBTORCH_USE_PYTORCH:-} ]] || configured_by_user; then
        run "$@"
    fi
    case $(uname -sm) in
        'Linux x86_64') platforms=(manylinux_2_28_x86_64 manylinux_2_25_x86_64 manylinux2014_x86_64) ;;
        'Linux aarch64') platforms=(manylinux_2_28_aarch64 manylinux_2_25_aarch64 manylinux2014_aarch64) ;;
        'Darwin arm64') platforms=(macosx_14_0_arm64) ;;
    esac
    target=${XDG_CACHE_HOME:-$HOME/.cache}/onelayer/libtorch-$VERSION-$(uname -sm | tr ' A-Z' '-a-z')
    if complete "$target"; then
        configure_cargo "$target"
    elif [[ ${#platforms[@]} == 0 ]]; then
        say "no known wheel for $(uname -sm): torch-sys downloads libtorch itself; or set LIBTORCH=<folder of libtorch $VERSION>"
        features=download-libtorch
    elif ! python3 -m pip --version >/dev/null 2>&1; then
        say "no python3 with pip: torch-sys downloads libtorch itself; or set LIBTORCH=<folder of libtorch $VERSION>"
        features=download-libtorch
    else
        # Compiling the program without libtorch waits for the processor, fetching libtorch for the network.
        local build
        build &
        build=$!
        # shellcheck disable=SC2064 # $build is local.
        trap "kill $build 2>/dev/null" EXIT
        (provision "$target" "${platforms[@]}")
        wait "$build"
        trap - EXIT
        configure_cargo "$target"
    fi
    run "$@"
}

main "$@"
