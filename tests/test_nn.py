"""Encoders, heads and the teacher's folder."""

import copy

import huggingface_hub.constants as hub
import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from iem import artifact
from iem.errors import ArtifactError, UnavailableError, UnknownNameError
from iem.nn import teacher
from iem.nn.convolutions import SmallConvolution, with_small_convolutions
from iem.nn.encoders import ImageEncoder, pretrained_encoder
from iem.nn.heads import PriorHead, prior_heads
from iem.nn.scale import FeatureScale
from iem.nn.teacher import Teacher, load_teacher

SIZES = {"atom": 19, "bond": 4, "geometry": 60, "property": 8}


def pictures(*shape):
    return torch.randint(0, 256, (*shape, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_the_paper_dimensions():
    encoder = ImageEncoder("resnet18")
    assert encoder(pictures(2)).shape == (2, 512)
    head = PriorHead(512, 60)
    assert (head.first.in_features, head.first.out_features, head.second.out_features) == (512, 256, 60)
    assert {name: head.second.out_features for name, head in prior_heads(512, SIZES).items()} == SIZES


def test_an_empty_page_is_zero_to_the_network():
    encoder = ImageEncoder()
    seen = []
    encoder.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    encoder(torch.full((2, 32, 32, 3), 255, dtype=torch.uint8))
    assert not seen[0].any()


def test_pixels_reach_the_network_upright_in_rgb_and_standardised():
    encoder = ImageEncoder(std=(0.25, 0.5, 1.0))
    seen = []
    encoder.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    picture = torch.full((1, 32, 48, 3), 255, dtype=torch.uint8)
    picture[0, 5, 40] = torch.tensor([0, 51, 102])
    encoder(picture)
    assert seen[0].shape == (1, 3, 32, 48)
    torch.testing.assert_close(seen[0][0, :, 5, 40], torch.tensor([-4.0, -1.6, -0.6]))
    seen[0][0, :, 5, 40] = 0
    assert not seen[0].any()


@pytest.mark.parametrize("side", [1, 2, 3, 4, 5, 8])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("bias", [False, True])
def test_a_small_convolution_is_a_convolution(side, stride, bias):
    torch.manual_seed(0)
    plain = nn.Conv2d(6, 8, 3, stride=stride, padding=1, bias=bias)
    [small] = with_small_convolutions(nn.Sequential(copy.deepcopy(plain)))
    assert type(small) is SmallConvolution
    inputs = [torch.randn(2, 6, side, side, requires_grad=True) for _ in range(1)] * 2
    outputs = plain(inputs[0]), small(inputs[1])
    torch.testing.assert_close(*outputs)
    weights = torch.randn_like(outputs[0])
    ours, theirs = (
        torch.autograd.grad((output * weights).sum(), [inputs[0], *network.parameters()])
        for output, network in zip(outputs, (plain, small), strict=True)
    )
    torch.testing.assert_close(ours, theirs)


def test_small_convolutions_change_no_name_and_leave_what_they_cannot_do():
    network = timm.create_model("resnet18", num_classes=0)
    names = list(network.state_dict())
    assert list(with_small_convolutions(network).state_dict()) == names
    kinds = {type(module) for module in network.modules() if isinstance(module, nn.Conv2d)}
    assert kinds == {nn.Conv2d, SmallConvolution}  # 1×1 stay
    grouped = nn.Sequential(nn.Conv2d(6, 6, 3, groups=6), nn.Conv2d(6, 6, 3, dilation=2), nn.Conv2d(6, 6, (1, 3)))
    assert {type(module) for module in with_small_convolutions(grouped)} == {nn.Conv2d}


def test_an_unknown_encoder_is_named():
    with pytest.raises(UnknownNameError, match="timm has no image encoder called 'resnet999'"):
        ImageEncoder("resnet999")


@pytest.fixture
def trained():
    """A network with its classifier, as a training of timm leaves it."""
    torch.manual_seed(3)
    return timm.create_model("test_resnet").eval()


def check_same(encoder, network):
    """The network sees pixels as its own training did."""
    seen = pictures(2)
    pixels = (seen.permute(0, 3, 1, 2) / 255 - 0.5) / 0.5
    with torch.inference_mode():
        wanted = network.forward_head(network.forward_features(pixels), pre_logits=True)
        torch.testing.assert_close(encoder.eval()(seen), wanted, rtol=1e-4, atol=1e-5)


def test_an_encoder_starts_from_a_file_with_the_statistics_of_its_network(trained, tmp_path):
    save_file(trained.state_dict(), tmp_path / "weights.safetensors")
    nested = {"state_dict": {f"module.{name}": tensor for name, tensor in trained.state_dict().items()}, "epoch": 3}
    torch.save(nested, tmp_path / "weights.pth")
    encoder, origin = pretrained_encoder("test_resnet", str(tmp_path / "weights.safetensors"))
    check_same(encoder, trained)
    other, same = pretrained_encoder("test_resnet", str(tmp_path / "weights.pth"))
    check_same(other, trained)
    assert (origin["weights"], same["weights"]) == ("weights.safetensors", "weights.pth")
    assert origin["sha256"] == same["sha256"]


def test_an_encoder_starts_from_what_timm_has_on_disk(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        UnavailableError, match=r"timm for test_resnet\.r160_in1k are neither in its cache nor to be had"
    ):
        pretrained_encoder("test_resnet", "timm")
    kept, commit = tmp_path / "models--timm--test_resnet.r160_in1k", "0" * 40
    (kept / "snapshots" / commit).mkdir(parents=True)
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text(commit)
    save_file(trained.state_dict(), kept / "snapshots" / commit / "model.safetensors")
    encoder, origin = pretrained_encoder("test_resnet", "timm")
    check_same(encoder, trained)
    assert origin["weights"] == "test_resnet.r160_in1k"


def test_weights_of_another_network_are_refused_by_name(trained, tmp_path):
    save_file(trained.state_dict(), tmp_path / "weights.safetensors")
    with pytest.raises(ArtifactError, match=r"of resnet18 \(missing: conv1.weight, .*; bn1.bias is .*the --encoder"):
        pretrained_encoder("resnet18", str(tmp_path / "weights.safetensors"))
    for name in ("absent.safetensors", "absent.pth"):
        with pytest.raises(ArtifactError, match=f"cannot read .*{name}"):
            pretrained_encoder("test_resnet", str(tmp_path / name))
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ArtifactError, match=r"list\.pth is no state dict of a network"):
        pretrained_encoder("test_resnet", str(tmp_path / "list.pth"))


def test_teacher_pools_over_views_and_never_trains(teacher_folder):
    teacher = load_teacher(teacher_folder)
    views = pictures(3, 4)
    features = teacher(views)
    assert features.shape == (3, 512)
    one_by_one = torch.stack([torch.stack([teacher.encoder(view[None])[0] for view in mol]).mean(0) for mol in views])
    torch.testing.assert_close(features, one_by_one, rtol=1e-4, atol=1e-5)
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    teacher.train()
    teacher(views)
    assert not teacher.training
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    assert all(torch.equal(before[name], value) for name, value in teacher.state_dict().items())


def test_a_head_is_two_layers_with_softplus_between():
    head, features = PriorHead(512, 4), torch.randn(3, 512, generator=torch.Generator().manual_seed(0))
    hidden = torch.log1p(torch.exp(features @ head.first.weight.T + head.first.bias))
    torch.testing.assert_close(head(features), hidden @ head.second.weight.T + head.second.bias)


def test_heads_standardise_with_their_own_statistics():
    head = PriorHead(512, 2)
    head.mean.copy_(torch.tensor([1.0, 2.0]))
    head.std.copy_(torch.tensor([2.0, 4.0]))
    torch.testing.assert_close(head.standardise(torch.tensor([[3.0, 2.0]])), torch.tensor([[1.0, 0.0]]))


def test_a_teacher_that_comes_along_goes_by_its_name_and_any_other_by_its_path(teacher_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(teacher, "BUNDLED", teacher_folder.parent)
    assert teacher.find(teacher_folder.name) == teacher_folder
    assert teacher.find(tmp_path) == tmp_path
    with pytest.raises(ArtifactError, match="there is no teacher folder 'elsewhere/mine'"):
        teacher.find("elsewhere/mine")


def test_a_teacher_knows_which_pictures_it_looks_at(teacher_folder):
    card = load_teacher(teacher_folder).card
    assert card["view"] == "3d"
    assert len(card["digest"]) == 64


def test_a_teacher_without_the_wanted_encoder_says_so(teacher_folder):
    with pytest.raises(ArtifactError, match="has no 2d encoder, only 3d"):
        load_teacher(teacher_folder, view="2d")


def test_a_teacher_with_mis_shaped_tensors_is_refused(tmp_path, teacher_folder):
    tensors, card = artifact.load(teacher_folder, kind="teacher")
    tensors["heads.atom.second.weight"] = torch.zeros(3, 3)
    del tensors["heads.bond.second.bias"]
    artifact.save(tmp_path, tensors, card, kind="teacher")
    with pytest.raises(ArtifactError, match=r"missing: heads.bond.second.bias.*heads.atom.second.weight is \(3, 3\)"):
        load_teacher(tmp_path)


def test_a_scale_is_roots_in_standard_units_and_leads_back():
    rng = np.random.default_rng(0)
    features = np.maximum(rng.normal(size=(400, 6)), 0).astype(np.float32) ** 4
    features[:, 4] -= 1  # of a network that does not end in ReLU
    features[:, 5] = 0
    features[7, 5] = 1e-4
    scale = FeatureScale.of(features)
    learned = scale(torch.from_numpy(features))
    torch.testing.assert_close(learned[:, :5].mean(dim=0), torch.zeros(5), atol=1e-5, rtol=0)
    torch.testing.assert_close(learned[:, :5].std(dim=0, correction=0), torch.ones(5))
    roots = np.sign(features) * np.sqrt(np.abs(features))
    usual = np.sqrt(roots.var(axis=0).mean())
    assert float(scale.std[5]) == pytest.approx(usual / 10), "a feature that sleeps is not blown up"
    torch.testing.assert_close(scale.back(learned), torch.from_numpy(features), atol=1e-6, rtol=1e-4)
    constant = FeatureScale.of(np.ones((3, 2), np.float32))
    assert torch.isfinite(constant(torch.ones(1, 2))).all()


def test_teacher_is_frozen_from_birth():
    encoder, heads = ImageEncoder(), prior_heads(512, SIZES)
    teacher = Teacher(encoder, heads, {"digest": "x"})
    assert teacher.dim == 512
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
