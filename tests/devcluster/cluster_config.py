"""The configuration files of a node's parts, and the objects a new cluster holds."""

import shutil
from pathlib import Path

from cluster_layout import DNS_SERVICE, NODE, POD_RANGE, POD_SUBNET, Layout

PAUSE_IMAGE = "localhost/sensorpipe-pause:1"
VOLUMES = 24
"""Enough for four releases at a time; `cluster_volumes` empties those given back."""


def files(layout: Layout) -> dict[Path, str]:
    """Return the configuration files by path."""
    folder = layout.folder
    return {
        folder / "containerd.toml": _containerd_toml(layout),
        folder / "cni/10-pods.conflist": _CNI,
        folder / "resolv.conf": f"nameserver {layout.node_address}\n",
        folder / "kubelet.yaml": _kubelet_yaml(layout),
        folder / "proxy.yaml": _PROXY.format(kubeconfig=layout.config("proxy")),
        folder / "Corefile": _COREFILE.format(layout=layout),
    }


def manifests(layout: Layout) -> str:
    """Return what the cluster holds from the start: its DNS Service, and volumes to claim."""
    volumes = (
        _VOLUME.format(number=number, folder=layout.folder) for number in range(1, VOLUMES + 1)
    )
    return _BASE.format(dns=DNS_SERVICE, node=layout.node_address) + "".join(volumes)


def _containerd_toml(layout: Layout) -> str:
    # without restrict_oom_score_adj runc fails where root lacks CAP_SYS_RESOURCE
    return f"""\
version = 3
root = "{layout.folder}/containerd"
state = "/run/containerd"
[grpc]
  address = "{layout.containerd_socket}"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "{PAUSE_IMAGE}"
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["/usr/lib/cni", "/opt/cni/bin"]
  conf_dir = "{layout.folder}/cni"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  BinaryName = "{shutil.which("runc") or "runc"}"
"""


def _kubelet_yaml(layout: Layout) -> str:
    # its own cgroupRoot: a kubelet clears away pods it does not know from below the one it has
    return f"""\
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix://{layout.containerd_socket}
cgroupDriver: cgroupfs
cgroupRoot: /{layout.cgroup}
failCgroupV1: false
failSwapOn: false
clusterDNS: [{DNS_SERVICE}]
clusterDomain: cluster.local
resolvConf: {layout.folder}/resolv.conf
authentication:
  x509: {{clientCAFile: {layout.pki}/ca.crt}}
  webhook: {{enabled: true}}
  anonymous: {{enabled: false}}
authorization: {{mode: Webhook}}
tlsCertFile: {layout.pki}/kubelet.crt
tlsPrivateKeyFile: {layout.pki}/kubelet.key
evictionHard: {{memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}}
imageGCHighThresholdPercent: 100
maxPods: 200
"""


_CNI = f"""\
{{"cniVersion": "1.0.0", "name": "pods", "plugins": [
  {{"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "hairpinMode": true,
    "ipam": {{"type": "host-local", "ranges": [[{{"subnet": "{POD_SUBNET}"}}]],
             "routes": [{{"dst": "0.0.0.0/0"}}]}}}},
  {{"type": "portmap", "capabilities": {{"portMappings": true}}}}]}}
"""

_PROXY = f"""\
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
clusterCIDR: {POD_RANGE}
clientConnection: {{{{kubeconfig: {{kubeconfig}}}}}}
conntrack: {{{{maxPerCore: 0}}}}
hostnameOverride: {NODE}
"""

_COREFILE = """\
.:53 {{
    bind {layout.node_address}
    errors
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {layout.kubeconfig}
    }}
}}
"""

_BASE = """\
apiVersion: v1
kind: Service
metadata: {{name: kube-dns, namespace: kube-system}}
spec:
  clusterIP: {dns}
  ports: [{{name: dns, port: 53, protocol: UDP}}, {{name: dns-tcp, port: 53, protocol: TCP}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: kube-dns
  namespace: kube-system
  labels: {{kubernetes.io/service-name: kube-dns}}
addressType: IPv4
endpoints: [{{addresses: [{node}]}}]
ports: [{{name: dns, port: 53, protocol: UDP}}, {{name: dns-tcp, port: 53, protocol: TCP}}]
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: standard
  annotations: {{storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
"""

_VOLUME = """\
---
apiVersion: v1
kind: PersistentVolume
metadata: {{name: volume-{number}}}
spec:
  capacity: {{storage: 20Gi}}
  accessModes: [ReadWriteOnce]
  storageClassName: standard
  hostPath: {{path: {folder}/volumes/{number}, type: Directory}}
"""
