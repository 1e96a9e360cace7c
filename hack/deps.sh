#!/usr/bin/env bash
# Makes sure that the daemons and clients which the tests start are installed. With apt-get and as
# root it installs what is missing; otherwise it says plainly what is missing, and fails in CI.
set -euo pipefail
export PATH=$PATH:/usr/sbin:/sbin
# program:package, or file:package where a package has no program in the path
wanted=(named:bind9 delv:bind9-dnsutils nsupdate:bind9-dnsutils dnssec-dsfromkey:bind9-utils nsd:nsd unbound:unbound
	knotd:knot knotc:knot pdns_server:pdns-server pdnsutil:pdns-server sqlite3:sqlite3
	/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql:pdns-backend-sqlite3
	dovecot:dovecot-core /usr/lib/dovecot/imap-login:dovecot-imapd /usr/lib/dovecot/pop3-login:dovecot-pop3d
	/usr/lib/dovecot/managesieve-login:dovecot-managesieved
	chromium:chromium /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf:fonts-dejavu-core
	"/usr/lib/postgresql/*/bin/postgres:postgresql"
	opendkim:opendkim rspamd:rspamd
	posttls-finger:postfix promtool:prometheus prometheus:prometheus openssl:openssl ip:iproute2 unshare:util-linux)
missing=()
for pair in "${wanted[@]}"; do
	compgen -G "${pair%%:*}" >/dev/null || command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
[[ ${#missing[@]} -eq 0 ]] && exit 0
mapfile -t packages < <(printf '%s\n' "${missing[@]}" | sort -u)
if command -v apt-get >/dev/null && [[ $(id -u) -eq 0 ]]; then
	echo "installing Debian packages: ${packages[*]}"
	export DEBIAN_FRONTEND=noninteractive
	# The tests start daemons of their own: those of the packages stay off.
	policy=
	if [[ ! -e /usr/sbin/policy-rc.d ]]; then
		policy=/usr/sbin/policy-rc.d
		printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy"
		trap 'rm -f "$policy"' EXIT
	fi
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
	exit 0
fi
echo "these Debian packages are missing, and could not be installed here: ${packages[*]}" >&2
echo "the tests that need them will fail; install them with: sudo apt-get install ${packages[*]}" >&2
[[ ${CI:-} != true ]] || exit 1
