# A static binary in an image with nothing else in it.
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG TARGETOS TARGETARCH
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY api api
COPY cmd cmd
COPY controllers controllers
COPY docs docs
COPY internal internal
# What "dane-operator --version" says: no history is copied that could tell.
ARG VERSION
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -ldflags "-s -X github.com/dane-operator/dane-operator/internal/version.release=$VERSION" -o /dane-operator ./cmd/dane-operator

FROM gcr.io/distroless/static:nonroot
COPY --from=build /dane-operator /dane-operator
USER 65532:65532
ENTRYPOINT ["/dane-operator"]
