FROM onbuild AS first
ENTRYPOINT run it
FROM first
USER nobody
RUN <<EOF
set -e
echo $HOME
EOF
RUN cat <<A - <<B
one
A
two
B
COPY <<-EOT /etc/$BASE.conf
	base is $BASE
EOT
