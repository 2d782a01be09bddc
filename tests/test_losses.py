"""Losses against slow, obvious versions of their equations."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from iem.errors import ConfigError
from iem.losses.contrastive import contrastive_loss
from iem.losses.enhancers import knowledge_enhancer, task_enhancer, task_loss
from iem.losses.terms import masked_mean, weigh
from iem.nn.heads import prior_heads

SIZES = {"atom": 19, "bond": 4, "geometry": 60, "property": 8}


def naive_contrastive(flat, spatial, temperature):
    """Equation 1, one anchor at a time."""
    pictures = [v / v.norm() for v in (*flat, *spatial)]
    n, terms = len(flat), []
    for i, anchor in enumerate(pictures):
        positive = pictures[(i + n) % (2 * n)]
        others = [p for j, p in enumerate(pictures) if j != i]
        denominator = sum(torch.exp(anchor @ p / temperature) for p in others)
        terms.append(-torch.log(torch.exp(anchor @ positive / temperature) / denominator))
    return sum(terms) / (2 * n)


@given(batch=st.integers(1, 6), seed=st.integers(0, 1000), temperature=st.floats(0.1, 5))
@settings(max_examples=25, deadline=None)
def test_contrastive_loss_is_equation_1(batch, seed, temperature):
    generator = torch.Generator().manual_seed(seed)
    flat, spatial = torch.randn(2, batch, 8, generator=generator, dtype=torch.float64)
    expected = naive_contrastive(flat, spatial, temperature)
    torch.testing.assert_close(contrastive_loss(flat, spatial, temperature=temperature), expected)


def test_contrastive_loss_ignores_scale_and_falls_with_agreement():
    flat, spatial = torch.randn(2, 16, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(contrastive_loss(flat, spatial), contrastive_loss(3 * flat, 0.1 * spatial))
    assert contrastive_loss(flat, flat) < contrastive_loss(flat, spatial)


def test_contrastive_loss_refuses_a_temperature_of_zero():
    with pytest.raises(ConfigError, match=r"temperature is 0\.0, but it must be positive"):
        contrastive_loss(torch.ones(2, 3), torch.ones(2, 3), temperature=0.0)


def test_masked_mean_sees_known_entries_only():
    values = torch.tensor([[1.0, math.nan], [3.0, 100.0]])
    known = torch.tensor([[True, False], [True, False]])
    assert masked_mean(values, known) == 2
    assert masked_mean(values, torch.zeros_like(known)) == 0


def test_masked_mean_passes_no_gradient_through_unknown_nan():
    values = torch.tensor([1.0, math.nan], requires_grad=True)
    masked_mean(values, torch.tensor([True, False])).backward()
    torch.testing.assert_close(values.grad, torch.tensor([1.0, 0.0]))


def test_weights_are_matched_by_name():
    loss = weigh({"a": torch.tensor(2.0), "b": torch.tensor(3.0)}, {"a": 1.0, "b": 0.5})
    assert loss.total == 3.5
    assert loss.parts["b"] == 3
    with pytest.raises(ConfigError, match="the terms are"):
        weigh({"a": torch.tensor(2.0)}, {"A": 1.0})


def test_what_is_logged_holds_no_graph_and_weights_reach_the_gradient():
    one, two = (torch.tensor(value, requires_grad=True) for value in (2.0, 3.0))
    loss = weigh({"a": one * 1, "b": two * 1}, {"a": 1.0, "b": 0.5})
    loss.total.backward()
    assert (one.grad, two.grad) == (1, 0.5)
    assert not any(part.requires_grad for part in loss.parts.values())


def test_knowledge_enhancer_is_equation_5():
    torch.manual_seed(0)
    heads = prior_heads(512, SIZES).requires_grad_(False)
    student, teacher = torch.randn(5, 512, requires_grad=True), torch.randn(5, 512, requires_grad=True)
    terms = knowledge_enhancer(heads, student, teacher)
    assert list(terms) == list(SIZES)
    for name, head in heads.items():
        rows = [(head(s[None]) - head(t[None])).abs().mean() for s, t in zip(student, teacher, strict=True)]
        torch.testing.assert_close(terms[name], sum(rows) / len(rows))
    sum(terms.values()).backward()
    assert student.grad.abs().sum() > 0
    assert teacher.grad is None
    assert all(parameter.grad is None for parameter in heads.parameters())


def test_knowledge_enhancer_leaves_padding_out():
    torch.manual_seed(0)
    heads = prior_heads(512, SIZES).requires_grad_(False)
    student, teacher = torch.randn(2, 512), torch.randn(2, 512)
    known = torch.zeros(2, 60, dtype=torch.bool)
    known[0, :9] = True
    gap = (heads["geometry"](student) - heads["geometry"](teacher)).abs()[0, :9].mean()
    torch.testing.assert_close(knowledge_enhancer(heads, student, teacher, {"geometry": known})["geometry"], gap)


def test_task_enhancer_is_equation_6_and_leaves_the_teacher_alone():
    student = torch.tensor([[0.0], [0.0]], requires_grad=True)
    teacher = torch.tensor([[0.5], [3.0]], requires_grad=True)
    loss = task_enhancer(student, teacher)
    torch.testing.assert_close(loss, torch.tensor((0.5 * 0.25 + 2.5) / 2))
    loss.backward()
    assert teacher.grad is None


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_task_loss_skips_missing_labels(task):
    logits, labels = torch.tensor([[0.3, -1.0], [2.0, 0.1]]), torch.tensor([[1.0, math.nan], [math.nan, 0.0]])
    plain = F.binary_cross_entropy_with_logits if task == "classification" else F.mse_loss
    expected = plain(torch.tensor([0.3, 0.1]), torch.tensor([1.0, 0.0]))
    torch.testing.assert_close(task_loss(logits, labels, task), expected)
