"""The page of deploy/kubernetes names its overlays, and its commands run."""

import re
import shutil

from tests.deploy.kubernetes import OVERLAYS, render, validate
from tests.deploy.test_kubernetes import PAGE
from tests.servers import ROOT


def test_page_names_every_overlay_and_its_commands_can_be_run(tmp_path):
    """Every line of the page that renders is run; what it applies is there."""
    assert set(re.findall(r"overlays/(\w+)", PAGE)) == {*OVERLAYS, "mine"}
    commands = re.findall(r"^kubectl (?:apply -k|kustomize) (\S+)", PAGE, re.M)
    assert commands
    assert all((ROOT / path / "kustomization.yaml").is_file() for path in commands)
    # The page's own overlay renders where the page says that it stands.
    own = tmp_path / "deploy" / "kubernetes" / "overlays" / "mine"
    [text] = re.findall(r"```yaml\n(# kustomization.yaml.*?)```", PAGE, re.S)
    for name in ("kubernetes", "monitoring"):
        shutil.copytree(
            ROOT / "deploy" / name, tmp_path / "deploy" / name, dirs_exist_ok=True
        )
    own.mkdir()
    (own / "kustomization.yaml").write_text(text)
    for found in render(own):
        validate(found)
