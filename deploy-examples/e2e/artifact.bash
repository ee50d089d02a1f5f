# Sourced by build-ramdisk and build-image: what both of them make is made once and kept in the cache.
# shellcheck shell=bash disable=SC2034  # the variables are for the scripts that source this one

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
lab=$(realpath "$here/../lab")
cache=$(realpath -m "${XDG_CACHE_HOME:-$HOME/.cache}/ironmaster-lab")
# The Debian 13 that programs, modules and boot loaders are taken from.
root=$cache/root-e2e

say() { echo "$(basename "$0"): $*"; }

# artifact NAME DIR INPUT... copies to DIR what the function build makes in the folder that it is given. That is kept under a
# name that changes with the script and its inputs, and appears there whole or not at all.
artifact() {
  local name=$1 target=$2 sum made
  shift 2
  sum=$(cat "$0" "${BASH_SOURCE[0]}" "$@" | sha256sum | cut -c -12)
  made=$cache/e2e-$name-$sum
  mkdir -p "$cache" "$target"
  # One at a time: the root is shared.
  exec 8>"$cache/e2e.lock"
  flock 8
  if [[ -e $made ]]; then
    say "the $name is there already, in $made"
  else
    rm -rf "$made.partial"
    mkdir "$made.partial"
    build "$made.partial"
    mv -T "$made.partial" "$made"
  fi
  cp --sparse=always "$made"/* "$target"
}

# extract PACKAGE... unpacks packages in the root without what they depend on. Of a package that only names the newest kernel, it
# unpacks that kernel.
extract() {
  # shellcheck disable=SC2016  # expanded in the root
  "$lab/in-debian-root" "$root" sh -euc '
    dir=$(mktemp -d)
    cd "$dir"
    mkdir -p /var/lib/ironmaster-extracted
    updated=
    for package; do
      [ -e "/var/lib/ironmaster-extracted/$package" ] && continue
      [ "$updated" ] || apt-get -qq update
      updated=yes
      name=$(apt-cache depends "$package" | sed -n "s/^  Depends: \(linux-image-[0-9].*\)/\1/p")
      apt-get -qq -o APT::Sandbox::User=root download "${name:-$package}"
      dpkg-deb -x ./*.deb /
      rm ./*.deb
      touch "/var/lib/ironmaster-extracted/$package"
    done
    rmdir "$dir"' extract "$@"
}
