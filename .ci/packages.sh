#!/bin/sh
# Installs the system packages that are missing: `runtime`, `demo` or `test`. Does nothing when all are there.
# Elsewhere than on Debian and Ubuntu, or without root, it names them and how to install them.
set -eu

runtime='iptables:iptables ip6tables:iptables ipset:ipset conntrack:conntrack ip:iproute2 ss:iproute2 tc:iproute2 nsenter:util-linux sysctl:procps'
demo='busybox:busybox-static'
test='dockerd:docker.io nft:nftables tcpdump:tcpdump tshark:tshark redis-server:redis-server chromium:chromium
      chromedriver:chromium-driver npm:npm pdftotext:poppler-utils mvn:maven ps:procps'
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

case "${1:-}" in
    runtime) wanted="$runtime" ;;
    demo) wanted="$runtime $demo" ;;
    test) wanted="$runtime $demo $test" ;;
    *) echo "usage: $0 runtime|demo|test" >&2; exit 2 ;;
esac

missing=''
need() {
    case " $missing " in *" $1 "*) ;; *) missing="$missing $1" ;; esac
}
for pair in $wanted; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || need "${pair##*:}"
done
if [ "$1" = test ]; then
    ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || need postgresql
    ls /usr/lib/jvm/*/release >/dev/null 2>&1 || need default-jre-headless
    docker compose version >/dev/null 2>&1 || command -v docker-compose >/dev/null 2>&1 || need docker-compose
    [ -d /usr/share/fonts/truetype/dejavu ] || need fonts-dejavu-core
fi
# Debian keeps the part of venv that brings pip in a package of its own.
"${PYTHON:-python3}" -c 'import ensurepip' 2>/dev/null || need python3-venv
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "These programs are missing; their Debian packages are:$missing"
    echo "  Fedora, RHEL:  dnf install iptables-nft ipset conntrack-tools iproute iproute-tc util-linux procps-ng busybox"
    echo "  Alpine:        apk add iptables ipset conntrack-tools iproute2 util-linux procps busybox-static"
    echo "  Arch:          pacman -S iptables-nft ipset conntrack-tools iproute2 util-linux procps-ng busybox"
    exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "These packages are missing, and installing them needs root:"
    echo "  sudo apt-get install$missing"
    exit 0
fi

echo "installing:$missing"
# Nothing that is installed here may start by itself: the tests start what they need, where they need it.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
log="$(mktemp)"
apt-get update -q >"$log" 2>&1 || true
# shellcheck disable=SC2086
if ! apt-get install -q -y --no-install-recommends $missing >>"$log" 2>&1; then
    tail -n 30 "$log" >&2
    rm -f "$log"
    echo "apt-get could not install:$missing" >&2
    exit 1
fi
rm -f "$log"
