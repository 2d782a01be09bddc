"""The published teacher's file becomes a teacher folder; a stand-in of its layout, for the file is not ours to keep."""

import pytest
import timm
import torch

from iem import artifact
from iem.chem.priors import PAPER, PRIORS
from iem.cli import main
from iem.errors import ArtifactError, OutputError
from iem.nn.teacher import load_teacher
from iem.workflows.teachers import import_

PARTS = {
    "atom": "atomDistPredictor",
    "bond": "boundDistPredictor",
    "geometry": "geometryPredictor",
    "property": "propertiesPredictor",
}


def published(prefix="module."):
    """A file of that layout with random weights: networks by name, and the state of an optimiser."""
    torch.manual_seed(0)
    content = {"optimizer": {"state": {}, "param_groups": [{"lr": 0.01}]}, "epoch": 30, "desc": "teacher"}
    for part in ("image2d_teacher", "image3d_teacher"):
        state = timm.create_model("resnet18", num_classes=0).state_dict()
        content[part] = {f"{prefix}model.{name}": tensor for name, tensor in state.items()}
    for name, part in PARTS.items():
        layers = {"linear1": torch.nn.Linear(512, 256), "linear2": torch.nn.Linear(256, PRIORS[name].size)}
        content[part] = {
            f"{prefix}network.{layer}.{key}": tensor
            for layer, linear in layers.items()
            for key, tensor in linear.state_dict().items()
        }
    return content


@pytest.fixture(scope="module")
def content():
    return published()


def test_the_published_teacher_answers_as_its_networks_would(content, tmp_path):
    torch.save(content, tmp_path / "IEM.pth")
    assert main(["teacher", "import", str(tmp_path / "IEM.pth"), "--out", str(tmp_path / "out")]) == 0
    views = torch.randint(0, 256, (2, 1, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    pixels = (views[:, 0].permute(0, 3, 1, 2) / 255 - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / (
        torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    )
    for view in ("2d", "3d"):
        network = timm.create_model("resnet18", num_classes=0).eval()
        state = content[f"image{view}_teacher"]
        network.load_state_dict({name.removeprefix("module.model."): tensor for name, tensor in state.items()})
        teacher = load_teacher(tmp_path / "out", view=view)
        with torch.inference_mode():
            wanted = network(pixels)
        torch.testing.assert_close(teacher(views), wanted, rtol=1e-4, atol=1e-4)
        for name, part in PARTS.items():
            first, bias, second, shift = content[part].values()
            answer = torch.nn.functional.softplus(wanted @ first.T + bias) @ second.T + shift
            head = teacher.heads[name]
            torch.testing.assert_close(head(wanted) * head.std + head.mean, answer, rtol=1e-4, atol=1e-4)
    card = artifact.read_card(tmp_path / "out", kind="teacher")
    assert (card["size"], card["view_set"], list(card["priors"])) == (224, "paper", list(PAPER))
    assert card["licence"].startswith("unknown")
    with pytest.raises(OutputError, match="exists; name a new folder"):
        import_(tmp_path / "IEM.pth", out=tmp_path / "out")


def test_a_file_without_the_prefix_is_the_same(content, tmp_path):
    bare = {
        part: {name.removeprefix("module."): tensor for name, tensor in state.items()}
        for part, state in content.items()
        if isinstance(state, dict)
    }
    torch.save(bare, tmp_path / "bare.pth")
    torch.save(content, tmp_path / "IEM.pth")
    import_(tmp_path / "bare.pth", out=tmp_path / "bare")
    import_(tmp_path / "IEM.pth", out=tmp_path / "prefixed")
    digests = [artifact.read_card(tmp_path / name, kind="teacher")["digest"] for name in ("bare", "prefixed")]
    assert digests[0] == digests[1]


def test_a_file_that_is_not_of_pytorch(tmp_path):
    for content in (b"smiles,y\nCCO,1\n", b"", b"\x80\x02}q\x00(X", b"I1\n."):
        (tmp_path / "IEM.pth").write_bytes(content)
        with pytest.raises(ArtifactError, match=r"IEM\.pth"):
            import_(tmp_path / "IEM.pth", out=tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_what_does_not_fit_is_named(content, tmp_path):
    def refused(changed, message):
        torch.save(changed, tmp_path / "IEM.pth")
        with pytest.raises(ArtifactError, match=message):
            import_(tmp_path / "IEM.pth", out=tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def without(part, name):
        return content | {part: {key: tensor for key, tensor in content[part].items() if key != name}}

    def with_(part, name, tensor):
        return content | {part: content[part] | {name: tensor}}

    refused(without("image3d_teacher", "module.model.conv1.weight"), "image3d_teacher: missing: conv1.weight")
    refused(with_("image2d_teacher", "module.fc.bias", torch.ones(1)), "image2d_teacher: not expected: fc.bias")
    refused(
        with_("geometryPredictor", "module.network.linear2.bias", torch.ones(3)),
        r"geometryPredictor: second.bias is \(3,\) and should be \(60,\)",
    )
    refused({key: value for key, value in content.items() if key != PARTS["bond"]}, "no state dict boundDistPredictor")
    refused([1, 2], "no state dict image2d_teacher")


class Trap:
    """Leaves a mark when it is unpickled."""

    def __reduce__(self):
        return exec, ("import builtins; builtins.trapped = True",)


def test_nothing_in_the_file_is_executed(content, tmp_path):
    import builtins

    torch.save(content | {"desc": Trap()}, tmp_path / "IEM.pth")
    with pytest.raises(ArtifactError, match="holds more than tensors"):
        import_(tmp_path / "IEM.pth", out=tmp_path / "out")
    assert not hasattr(builtins, "trapped")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.pth", None, "cannot read .*absent.pth: No such file"),
        ("text.pth", b"not a file of PyTorch", "holds more than tensors, or is no file of PyTorch"),
        ("cut.pth", b"PK\x03\x04", "cut.pth is damaged or no file of PyTorch"),
        ("empty.pth", b"", "empty.pth is damaged or no file of PyTorch"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ArtifactError, match=message):
        import_(tmp_path / name, out=tmp_path / "out")
