"""The benchmark tables that iem knows by name: what they are and where they come from."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """One table of MoleculeNet or of neural fingerprints, pinned to one file of one commit."""

    name: str
    title: str
    about: str
    """What was measured, in a few words."""
    task: Literal["classification", "regression"]
    targets: tuple[str, ...]
    """Names of the target columns; empty: every column but the SMILES (the 617 assays of ToxCast)."""
    tasks: int
    """Number of targets."""
    unit: str
    """Of a regression target; empty for classification."""
    rows: int
    """Rows of the table."""
    parsable: int
    """Rows whose SMILES RDKit 2026.09 can parse."""
    paper: int | None
    """Number of molecules in Table 1 or 2 of the paper; None where the table is not in it."""
    citation: str
    """Of the measurements, with DOI."""
    licence: str
    """Of the repository that the file is taken from; none states one for the measurements."""
    repository: str
    commit: str
    path: str
    sha256: str
    """SHA-256 of the source file."""
    size: int
    """Bytes of the source file."""
    content: str
    """SHA-256 of the normalised table: CSV, LF, SMILES first, then the targets."""
    split: str
    """Digest of the scaffold split of its parsable rows (see ``iem.chem.splits``)."""

    @property
    def metric(self) -> Literal["roc_auc", "rmse"]:
        """What the paper scores it by; ROC-AUC is averaged over the targets."""
        return "roc_auc" if self.task == "classification" else "rmse"

    @property
    def url(self) -> str:
        """Where the source file can be downloaded."""
        return f"https://raw.githubusercontent.com/{self.repository}/{self.commit}/{self.path}"


_TOX21 = (
    "NR-AR",
    "NR-AR-LBD",
    "NR-AhR",
    "NR-Aromatase",
    "NR-ER",
    "NR-ER-LBD",
    "NR-PPAR-gamma",
    "SR-ARE",
    "SR-ATAD5",
    "SR-HSE",
    "SR-MMP",
    "SR-p53",
)
_SIDER = (
    "Hepatobiliary disorders",
    "Metabolism and nutrition disorders",
    "Product issues",
    "Eye disorders",
    "Investigations",
    "Musculoskeletal and connective tissue disorders",
    "Gastrointestinal disorders",
    "Social circumstances",
    "Immune system disorders",
    "Reproductive system and breast disorders",
    "Neoplasms benign, malignant and unspecified (incl cysts and polyps)",
    "General disorders and administration site conditions",
    "Endocrine disorders",
    "Surgical and medical procedures",
    "Vascular disorders",
    "Blood and lymphatic system disorders",
    "Skin and subcutaneous tissue disorders",
    "Congenital, familial and genetic disorders",
    "Infections and infestations",
    "Respiratory, thoracic and mediastinal disorders",
    "Psychiatric disorders",
    "Renal and urinary disorders",
    "Pregnancy, puerperium and perinatal conditions",
    "Ear and labyrinth disorders",
    "Cardiac disorders",
    "Nervous system disorders",
    "Injury, poisoning and procedural complications",
)
_MUV = (
    "MUV-466",
    "MUV-548",
    "MUV-600",
    "MUV-644",
    "MUV-652",
    "MUV-689",
    "MUV-692",
    "MUV-712",
    "MUV-713",
    "MUV-733",
    "MUV-737",
    "MUV-810",
    "MUV-832",
    "MUV-846",
    "MUV-852",
    "MUV-858",
    "MUV-859",
)

_ALL = (
    Dataset(
        name="bbbp",
        title="BBBP",
        about="Passes the blood-brain barrier",
        task="classification",
        targets=("p_np",),
        tasks=1,
        unit="",
        rows=2_050,
        parsable=2_039,
        paper=2_039,
        citation="Martins et al., J. Chem. Inf. Model. 52, 1686 (2012), doi:10.1021/ci300124c",
        licence="MIT (of the repository)",
        repository="GLambard/Molecules_Dataset_Collection",
        commit="beb35cd0b76db5adef6cb1fa55807e4cd309aaed",
        path="originals/BBBP.csv",
        sha256="d07a38487aeac5cee5508413e468043ef3097451d2a112701c2d60be9ec6b662",
        size=148_743,
        content="85c3cc242ffc8550def977c150e2cddb12f70453540d5153678266092ebe541c",
        split="e0d42ec5d349ac2b",
    ),
    Dataset(
        name="tox21",
        title="Tox21",
        about="Activity in 12 toxicity assays: nuclear receptors and stress responses",
        task="classification",
        targets=_TOX21,
        tasks=12,
        unit="",
        rows=7_831,
        parsable=7_823,
        paper=7_831,
        citation="Huang et al., Front. Environ. Sci. 3, 85 (2016), doi:10.3389/fenvs.2015.00085",
        licence="MIT (of the repository)",
        repository="GLambard/Molecules_Dataset_Collection",
        commit="beb35cd0b76db5adef6cb1fa55807e4cd309aaed",
        path="originals/tox21.csv",
        sha256="7d7e7facd853a63e79ddce4e9c3fcb7a0d83a1c300b603031c0f2c64fbe77761",
        size=525_119,
        content="b58cc1f683e78e3c7a1bf7116e9aac0119804018d100f7b8cdb0857941c31aca",
        split="5e741b06cbd682eb",
    ),
    Dataset(
        name="toxcast",
        title="ToxCast",
        about="Activity in 617 in-vitro toxicity assays",
        task="classification",
        targets=(),
        tasks=617,
        unit="",
        rows=8_597,
        parsable=8_579,
        paper=8_576,
        citation="Richard et al., Chem. Res. Toxicol. 29, 1225 (2016), doi:10.1021/acs.chemrestox.6b00135",
        licence="MIT (of the repository)",
        repository="GLambard/Molecules_Dataset_Collection",
        commit="beb35cd0b76db5adef6cb1fa55807e4cd309aaed",
        path="originals/toxcast_data.csv",
        sha256="666d36476ff8f3208a618409022c1cc8cc7cd136e39b300320745509e0377db6",
        size=10_281_259,
        content="4010d410d6f12d7021a766ce059b8f48a6faaa039646649f9785925e7451279d",
        split="13d982e6da47dc28",
    ),
    Dataset(
        name="sider",
        title="SIDER",
        about="Side effects of marketed drugs in 27 organ classes",
        task="classification",
        targets=_SIDER,
        tasks=27,
        unit="",
        rows=1_427,
        parsable=1_427,
        paper=1_427,
        citation="Kuhn et al., Nucleic Acids Res. 44, D1075 (2016), doi:10.1093/nar/gkv1075",
        licence="MIT (of the repository)",
        repository="GLambard/Molecules_Dataset_Collection",
        commit="beb35cd0b76db5adef6cb1fa55807e4cd309aaed",
        path="originals/sider.csv",
        sha256="71efc6ac4ca82d6545bc512509863281be0f17234afd7adaf71a71899988302e",
        size=183_743,
        content="71efc6ac4ca82d6545bc512509863281be0f17234afd7adaf71a71899988302e",
        split="2be1d2fa00ad700c",
    ),
    Dataset(
        name="clintox",
        title="ClinTox",
        about="Approved by the FDA; failed in clinical trials for toxicity",
        task="classification",
        targets=("FDA_APPROVED", "CT_TOX"),
        tasks=2,
        unit="",
        rows=1_484,
        parsable=1_480,
        paper=1_478,
        citation="Gayvert et al., Cell Chem. Biol. 23, 1294 (2016), doi:10.1016/j.chembiol.2016.07.023",
        licence="none stated",
        repository="saisrinivas-samoju/MoleculeNet",
        commit="d59ed1c33facfa65df63c119c429a73e58709a42",
        path="datasets/csv_files/clintox.csv",
        sha256="9999816e760dd838358b5d88e81cea2fc062be4458ffa412ceecdba4f88a67b6",
        size=95_512,
        content="9999816e760dd838358b5d88e81cea2fc062be4458ffa412ceecdba4f88a67b6",
        split="e870c44df173b6c9",
    ),
    Dataset(
        name="muv",
        title="MUV",
        about="Hits of 17 screens, chosen against analogue bias",
        task="classification",
        targets=_MUV,
        tasks=17,
        unit="",
        rows=93_087,
        parsable=93_087,
        paper=93_087,
        citation="Rohrer and Baumann, J. Chem. Inf. Model. 49, 169 (2009), doi:10.1021/ci8002649",
        licence="MIT (of the repository)",
        repository="chemprop/chemprop",
        commit="f814b63ee66d574d9357366bf6c08c11a1b24478",
        path="data/muv.csv.gz",
        sha256="ee68d1fad0b10440dc494ac3a74cf99168a0b0da9683556b2b48220b88172135",
        size=1_329_782,
        content="4a164809c7e33a76d93a80198303f8ac353edbd2c8dccc0f5b44e8cd1c0ba3c7",
        split="415ad8c0d2b3e68f",
    ),
    Dataset(
        name="hiv",
        title="HIV",
        about="Inhibits replication of HIV",
        task="classification",
        targets=("HIV_active",),
        tasks=1,
        unit="",
        rows=41_127,
        parsable=41_120,
        paper=41_127,
        citation="Wu et al., Chem. Sci. 9, 513 (2018), doi:10.1039/C7SC02664A, after the AIDS Antiviral Screen (NCI)",
        licence="MIT (of the repository)",
        repository="GLambard/Molecules_Dataset_Collection",
        commit="beb35cd0b76db5adef6cb1fa55807e4cd309aaed",
        path="originals/HIV.csv",
        sha256="54713c3205055055ea4214e8c4b0d22d93af7e54ad2c48f4edc866e161e57262",
        size=2_152_716,
        content="3a3c7a4ea9626211fe959ef988394670dd76d556ca3c6173b70c88256e4c3555",
        split="ca3035762052d9f3",
    ),
    Dataset(
        name="bace",
        title="BACE",
        about="Inhibits human beta-secretase 1",
        task="classification",
        targets=("Class",),
        tasks=1,
        unit="",
        rows=1_513,
        parsable=1_513,
        paper=1_513,
        citation="Subramanian et al., J. Chem. Inf. Model. 56, 1936 (2016), doi:10.1021/acs.jcim.6b00290",
        licence="MIT (of the repository)",
        repository="GLambard/Molecules_Dataset_Collection",
        commit="beb35cd0b76db5adef6cb1fa55807e4cd309aaed",
        path="originals/bace.csv",
        sha256="d36f089649984f7bfaa4589ccc3ae907b831780a01ccfd065a5b604939e1a5df",
        size=3_897_770,
        content="d7c3b46a688e87ec8489c8e4e0809139e0098ec69c7d3d527f297eedccece921",
        split="c803538a9d5d9c15",
    ),
    Dataset(
        name="esol",
        title="ESOL",
        about="Solubility in water",
        task="regression",
        targets=("measured log solubility in mols per litre",),
        tasks=1,
        unit="log10(mol/L)",
        rows=1_128,
        parsable=1_128,
        paper=1_128,
        citation="Delaney, J. Chem. Inf. Comput. Sci. 44, 1000 (2004), doi:10.1021/ci034243x",
        licence="MIT (of the repository)",
        repository="deepchem/deepchem",
        commit="fbe3b911a94a6eb8c84c1a9e7ac67a472c49ea80",
        path="datasets/delaney-processed.csv",
        sha256="8c06a76f0c6487d29ab0f903e6a7a7139f189ab3c1178f159c8be8964602f189",
        size=96_699,
        content="4b704c27b9a62f0bf0e5e0b5cc246b407ab2dbe37596bb73433a3fea3a9eb70f",
        split="422b4a934808d508",
    ),
    Dataset(
        name="lipo",
        title="Lipophilicity",
        about="Octanol/water distribution at pH 7.4",
        task="regression",
        targets=("exp",),
        tasks=1,
        unit="logD",
        rows=4_200,
        parsable=4_200,
        paper=4_200,
        citation="Hersey, ChEMBL deposited data set of AstraZeneca (2015), doi:10.6019/CHEMBL3301361",
        licence="MIT (of the repository)",
        repository="GLambard/Molecules_Dataset_Collection",
        commit="beb35cd0b76db5adef6cb1fa55807e4cd309aaed",
        path="originals/Lipophilicity.csv",
        sha256="aed41590cb30609d51d8e08ad3ff06495a76e80e211358801f596b10da69bacd",
        size=282_606,
        content="94cbb76d9e083181ec1ec4547b72cbf6cf385899c1cc7b9c0ae0dc0af743e8e3",
        split="fc35dc335b3aa90d",
    ),
    Dataset(
        name="malaria",
        title="Malaria",
        about="Potency against Plasmodium falciparum",
        task="regression",
        targets=("activity",),
        tasks=1,
        unit="ln(EC50/µM)",
        rows=9_999,
        parsable=9_999,
        paper=9_999,
        citation="Gamo et al., Nature 465, 305 (2010), doi:10.1038/nature09107",
        licence="MIT (of the repository)",
        repository="HIPS/neural-fingerprint",
        commit="d26dae3a293a736261fee307b28b37e548c5f218",
        path="data/2015-06-03-malaria/malaria-processed.csv",
        sha256="2cea95027569d94a05093f0e1ea9ae174b721298380d1dfc33f2eb802a0cf008",
        size=735_229,
        content="6c7bdc87c622470b63a8b3543999cb96296892733c3864dddd97c1c9aebc6fd8",
        split="c0ca3cce09589ef8",
    ),
    Dataset(
        name="cep",
        title="CEP",
        about="Power conversion efficiency of organic solar cells, computed",
        task="regression",
        targets=("PCE",),
        tasks=1,
        unit="%",
        rows=29_978,
        parsable=29_978,
        paper=29_978,
        citation="Hachmann et al., J. Phys. Chem. Lett. 2, 2241 (2011), doi:10.1021/jz200866s",
        licence="MIT (of the repository)",
        repository="HIPS/neural-fingerprint",
        commit="d26dae3a293a736261fee307b28b37e548c5f218",
        path="data/2015-06-02-cep-pce/cep-processed.csv",
        sha256="99c3def57a412e0ac3922194d0605b6a8a9056938706a44bc4ba1d35fe8bc8c0",
        size=2_119_766,
        content="b56c27198d8cc659a36a674bee43b2c4b4eac9774070ec7332f7df06c547772f",
        split="a1b039aeb752c6ca",
    ),
    Dataset(
        name="freesolv",
        title="FreeSolv",
        about="Hydration free energy",
        task="regression",
        targets=("expt",),
        tasks=1,
        unit="kcal/mol",
        rows=642,
        parsable=642,
        paper=None,
        citation="Mobley and Guthrie, J. Comput.-Aided Mol. Des. 28, 711 (2014), doi:10.1007/s10822-014-9747-x",
        licence="MIT (of the repository)",
        repository="GLambard/Molecules_Dataset_Collection",
        commit="beb35cd0b76db5adef6cb1fa55807e4cd309aaed",
        path="originals/FreeSolv_SAMPL.csv",
        sha256="ab5895d914ee87cb563bd7b9611e869527bba45bec6b014d34dc495a0f9dcb72",
        size=32_060,
        content="12156a975ff536aaf64057f13f0ccecc2d9bf3619890139a9731cf29b3129ee8",
        split="d7c89c8eccce53be",
    ),
)

DATASETS: dict[str, Dataset] = {dataset.name: dataset for dataset in _ALL}
"""The twelve tables of the paper and FreeSolv."""
