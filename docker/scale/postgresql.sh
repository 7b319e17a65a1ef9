#!/bin/sh
# The server of docker-compose.scale.yml, as the user of its image and without a capability. At the first start a user and a database for each
# of HES and CIS, who have nothing in the other's; the superuser is let in by the socket inside of the container alone.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
	initdb --username=postgres --encoding=UTF8 --locale=C --auth-local=trust --auth-host=reject --no-instructions "$PGDATA.new" >/dev/null
	echo "host ami_hes ami_hes all scram-sha-256" >>"$PGDATA.new/pg_hba.conf"
	echo "host ami_cis ami_cis all scram-sha-256" >>"$PGDATA.new/pg_hba.conf"
	for name in hes cis; do
		echo "CREATE ROLE ami_$name LOGIN PASSWORD '$(cat "/keys/$name")';"
		echo "CREATE DATABASE ami_$name OWNER ami_$name;"
		echo "REVOKE ALL ON DATABASE ami_$name FROM PUBLIC;"
	done | postgres --single -D "$PGDATA.new" postgres >/dev/null
	mv "$PGDATA.new" "$PGDATA" # all of it or none
fi
exec postgres -c listen_addresses='*' -c unix_socket_directories=/tmp "$@"
