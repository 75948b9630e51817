# recstream in an image of its own: one static binary, no shell, no root.
#   docker build --build-arg VERSION="$(git describe --tags --always)" -t recstream .

FROM golang:1.26 AS build
WORKDIR /src
# The modules first: they change less often than the code, and stay in the engine's cache.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/recstream ./cmd/recstream

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/recstream /recstream
COPY LICENSE /LICENSE
# The tests of health are words, not a line: there is no shell to read one.
HEALTHCHECK --interval=30s --timeout=10s --start-period=20s CMD ["/recstream", "check"]
ENTRYPOINT ["/recstream"]
CMD ["serve"]
