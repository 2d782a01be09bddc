"""Agreement of the 2D depiction and the 3D views of one molecule."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from iem.errors import ConfigError


def contrastive_loss(
    flat: Float[Tensor, "batch dim"], spatial: Float[Tensor, "batch dim"], *, temperature: float = 0.1
) -> Float[Tensor, ""]:
    r"""InfoNCE over the 2n pictures of n molecules (eq. 1 of the paper).

    .. math:: -\frac{1}{2n}\sum_{i=1}^{2n}
              \log\frac{\exp(\cos(z_i, z_{i'})/\tau)}{\sum_{j\neq i}\exp(\cos(z_i, z_j)/\tau)}

    Every picture is an anchor once; its positive :math:`i'` is the other picture of the same molecule (the paper's
    index 2n+i is a slip for it), and all remaining pictures, 2D and 3D, are negatives.

    Args:
        flat: features of the depictions; any scale, they are normalised here.
        spatial: features of the 3D views, row by row of the same molecules.
        temperature: τ, dimensionless, positive.

    Returns:
        A scalar in nats.

    Raises:
        ConfigError: the temperature is not positive.

    References:
        Xiang et al., IJCAI 2024, eq. 1; van den Oord et al., 2018, arXiv:1807.03748.
    """
    if temperature <= 0:
        raise ConfigError("temperature", temperature, "it must be positive")
    batch = len(flat)
    pictures = F.normalize(torch.cat([flat, spatial]), dim=-1)
    similarity = pictures @ pictures.T / temperature
    similarity = similarity.masked_fill(torch.eye(2 * batch, dtype=torch.bool, device=flat.device), -torch.inf)
    partner = torch.arange(2 * batch, device=flat.device).roll(batch)
    return F.cross_entropy(similarity, partner)
