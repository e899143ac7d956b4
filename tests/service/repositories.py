"""Workers of a service: repositories of one state, over a folder of models."""

from service.registry.artifact import ArtifactError
from service.registry.catalog import Catalog
from service.registry.model_repository import Repository
from tests.fakes import counting_model


class Worker:
    """A process of the service: a catalog of its own, and the state all share."""

    def __init__(
        self,
        models,
        state,
        generation="first",
        clock=lambda: 0.0,
        max_versions=2,
        **more,
    ):
        self.loads = 0
        self.catalog = Catalog([])
        self.repository = Repository(
            self.catalog,
            models,
            lambda path: self.load(path),  # which a test may replace
            max_versions=max_versions,
            state=state,
            generation=generation,
            clock=clock,
            **more,
        )

    def load(self, path):
        self.loads += 1
        if (path / "damaged").exists() or not path.is_dir():
            raise ArtifactError(f"{path} is damaged.")
        return counting_model(version=int(path.name))


def publish(models, version, name="counting"):
    folder = models / name / str(version) / "assets.extra" / "carryover"
    folder.mkdir(parents=True)
    (folder / "manifest.json").touch()
    return models / name / str(version)


def models(tmp_path):
    publish(tmp_path / "models", 1)
    return tmp_path / "models"


def workers(models, tmp_path):
    return [Worker(models, tmp_path / "state") for _ in range(2)]
