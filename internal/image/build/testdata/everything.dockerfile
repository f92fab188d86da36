# escape=`
ARG TAG=1.2
ARG GIVEN=default
FROM --platform=$BUILDPLATFORM golang:$TAG AS Build
ARG GIVEN
ARG LOCAL="a b"
ARG BASE=hidden by ENV
ENV A=1 B="$A and ${LOCAL}" C=${NONE:-fallback} D=`$A
ENV old style value
WORKDIR src
WORKDIR ./sub
RUN --mount=type=cache,target=/root/.cache,sharing=locked --mount=type=secret,id=tok,required=true --network=none go build `
    -o out $LOCAL
SHELL ["/bin/bash", "-c"]
RUN echo $A
RUN ["exec", "$A"]

FROM unused AS unused
RUN never

FROM scratch
ARG TAG
LABEL version=$TAG "quoted key"="x y"
LABEL version=2
MAINTAINER somebody
COPY --from=build --chown=1:2 --chmod=755 --link /src/sub/out ${TAG}/*.txt /bin/
COPY --exclude=*.md . .
ADD --checksum=sha256:aa https://example.org/x.tar.gz /opt/
EXPOSE 80 443/udp 8000-8002
VOLUME /data /more
USER app:grp
STOPSIGNAL SIGINT
HEALTHCHECK --interval=5s --retries=3 CMD curl localhost
ENTRYPOINT ["/bin/out"]
CMD serve $TAG
ONBUILD RUN later
