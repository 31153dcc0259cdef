"""A part of a node: empties the volumes that nobody claims any more, for the next to claim.

Kubernetes leaves that to who made a volume; these are folders, made with the cluster.
"""

import argparse
import json
import shutil
import time
from pathlib import Path

from cluster_api import Api
from cluster_layout import Layout

_VOLUMES = "/api/v1/persistentvolumes"


def main() -> None:
    """Look once a second, until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--slot", type=int, required=True)
    arguments = parser.parse_args()
    api = Api(Layout(arguments.home, arguments.slot))
    while True:
        reclaim(api)
        time.sleep(1)


def reclaim(api: Api) -> None:
    """Empty each volume whose claim is gone, and let it be claimed again."""
    for volume in json.loads(api.get(_VOLUMES) or '{"items": []}')["items"]:
        if volume["status"].get("phase") == "Released":
            _empty(Path(volume["spec"]["hostPath"]["path"]))
            api.patch(f"{_VOLUMES}/{volume['metadata']['name']}", {"spec": {"claimRef": None}})


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


if __name__ == "__main__":
    main()
