// The broker of mochi-mqtt as a program: everybody may come in, no limit that would cap it, no log.
package main

import (
	"io"
	"log/slog"
	"math"
	"os"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
)

func try(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	limits := mqtt.NewDefaultServerCapabilities()
	limits.MaximumInflight = math.MaxUint16
	limits.ReceiveMaximum = math.MaxUint16
	limits.MaximumClientWritesPending = 1 << 16
	silent := slog.New(slog.NewTextHandler(io.Discard, nil))
	server := mqtt.New(&mqtt.Options{Capabilities: limits, Logger: silent})
	try(server.AddHook(new(auth.AllowHook), nil))
	address := "127.0.0.1:" + os.Args[1]
	try(server.AddListener(listeners.NewTCP(listeners.Config{ID: "tcp", Address: address})))
	try(server.Serve())
	select {}
}
