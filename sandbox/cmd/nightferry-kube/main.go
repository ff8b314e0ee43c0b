// Command nightferry-kube is a whole Kubernetes control plane and node in one file.
//
// Called by one of its names (the first argument, or a link of that name) it is that upstream program, unchanged.
// One file is built and kept instead of six that would each hold most of the same packages.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	_ "time/tzdata" // time zones of CronJobs on machines without zone files

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"          // --logging-format=json
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // client metrics
	_ "k8s.io/component-base/metrics/prometheus/version"  // version metric
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

var programs = map[string]func() *cobra.Command{
	"kube-apiserver":          apiserver.NewAPIServerCommand,
	"kube-controller-manager": controllers.NewControllerManagerCommand,
	"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	"kube-proxy":              proxy.NewProxyCommand,
	// The kubelet installs its own signal handling: a context that already has one makes it panic.
	"kubelet": func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) },
}

func main() {
	args := os.Args
	if name := filepath.Base(args[0]); name != "etcd" && programs[name] == nil && len(args) > 1 {
		args = args[1:]
	}
	name := filepath.Base(args[0])
	if name == "etcd" {
		etcdmain.Main(args)
		return
	}
	command, known := programs[name]
	if !known {
		fmt.Fprintln(os.Stderr, "usage: nightferry-kube kube-apiserver|kube-controller-manager|kube-scheduler|kubelet|kube-proxy|etcd …")
		os.Exit(2)
	}
	os.Args = args
	os.Exit(cli.Run(command()))
}
