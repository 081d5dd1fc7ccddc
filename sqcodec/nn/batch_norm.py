"""BatchNorm over the global batch of all ranks, on any device."""

import torch
from torch import Tensor, nn

from sqcodec import ranks


class BatchNorm(nn.BatchNorm1d):
    """`nn.BatchNorm1d`, with mean and variance over the batches of all ranks.

    torch's SyncBatchNorm does this on CUDA only; parameters and buffers have the same names.
    """

    def forward(self, input: Tensor) -> Tensor:
        """[B, C, T] -> [B, C, T]."""
        if not self.training or ranks.count() == 1:
            return super().forward(input) if input.is_contiguous() else self._by_rows(input)
        values = input.float()
        # each rank's moments, then those of all of them: no difference of large squares, one exchange
        moments = ranks.gathered(torch.stack([values.mean((0, 2)), values.var((0, 2), correction=0)]))
        mean = moments[:, 0].mean(0)
        variance = (moments[:, 1] + (moments[:, 0] - mean).square()).mean(0)
        self._remember_(mean.detach(), variance.detach(), values.numel() // len(mean) * ranks.count())
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return ((values - mean[:, None]) * scale[:, None] + self.bias[:, None]).to(input.dtype)

    def _by_rows(self, input: Tensor) -> Tensor:
        """Of an input that is [B, T, C] in memory, which stays so: torch would copy it."""
        rows = input.transpose(1, 2)
        return super().forward(rows.flatten(0, 1)).view_as(rows).transpose(1, 2)

    @torch.no_grad()
    def _remember_(self, mean: Tensor, variance: Tensor, values: int) -> None:
        """The running moments, of the unbiased variance as torch keeps it; values: how many a channel has."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * (values / (values - 1)), self.momentum)
