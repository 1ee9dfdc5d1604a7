// A host and a plugin on hashicorp/go-plugin over net/rpc, in the shape of Rosey's figures: one echo command.
// Prints "cold_us", "round_trip_us" and "per_second".
package main

import (
	"fmt"
	"io"
	"log"
	"net/rpc"
	"os"
	"os/exec"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
)

type Echo interface{ Echo(text string) (string, error) }

type plain struct{}

func (plain) Echo(text string) (string, error) { return text, nil }

type client struct{ rpc *rpc.Client }

func (c client) Echo(text string) (string, error) {
	var answer string
	err := c.rpc.Call("Plugin.Echo", text, &answer)
	return answer, err
}

type server struct{ of Echo }

func (s *server) Echo(text string, answer *string) (err error) {
	*answer, err = s.of.Echo(text)
	return
}

type echoPlugin struct{}

func (echoPlugin) Server(*plugin.MuxBroker) (interface{}, error) { return &server{plain{}}, nil }
func (echoPlugin) Client(_ *plugin.MuxBroker, c *rpc.Client) (interface{}, error) {
	return client{c}, nil
}

var handshake = plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "PEER", MagicCookieValue: "echo"}
var plugins = map[string]plugin.Plugin{"echo": echoPlugin{}}

func start() (*plugin.Client, Echo) {
	command := exec.Command(os.Args[0], "plugin")
	logger := hclog.New(&hclog.LoggerOptions{Output: io.Discard, Level: hclog.Error})
	c := plugin.NewClient(&plugin.ClientConfig{HandshakeConfig: handshake, Plugins: plugins, Cmd: command, Logger: logger})
	protocol, err := c.Client()
	if err != nil {
		log.Fatal(err)
	}
	raw, err := protocol.Dispense("echo")
	if err != nil {
		log.Fatal(err)
	}
	return c, raw.(Echo)
}

func median(times []time.Duration) time.Duration {
	sort.Slice(times, func(i, j int) bool { return times[i] < times[j] })
	return times[len(times)/2]
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "plugin" {
		plugin.Serve(&plugin.ServeConfig{HandshakeConfig: handshake, Plugins: plugins})
		return
	}
	text := strings.Repeat("x", 64)
	var cold []time.Duration
	for i := 0; i < 20; i++ {
		began := time.Now()
		c, echo := start()
		if _, err := echo.Echo(text); err != nil {
			log.Fatal(err)
		}
		cold = append(cold, time.Since(began))
		c.Kill()
	}
	c, echo := start()
	defer c.Kill()
	var trips []time.Duration
	for i := 0; i < 5000; i++ {
		began := time.Now()
		if _, err := echo.Echo(text); err != nil {
			log.Fatal(err)
		}
		trips = append(trips, time.Since(began))
	}
	const callers, each = 256, 400
	began := time.Now()
	var wait sync.WaitGroup
	for i := 0; i < callers; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for j := 0; j < each; j++ {
				if _, err := echo.Echo(text); err != nil {
					log.Fatal(err)
				}
			}
		}()
	}
	wait.Wait()
	rate := float64(callers*each) / time.Since(began).Seconds()
	fmt.Printf("cold_us %.1f\nround_trip_us %.1f\nper_second %.0f\n",
		float64(median(cold).Nanoseconds())/1e3, float64(median(trips).Nanoseconds())/1e3, rate)
}
