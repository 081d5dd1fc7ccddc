"""The normaliser of the von Mises-Fisher distribution against mpmath at 60 digits."""

import mpmath
import pytest
import torch

from sqcodec.model.bessel import HIGHEST, LOWEST, log_normaliser


def exact(concentration, dimensions):
    """log C_F = (F/2 - 1) log kappa - (F/2) log 2 pi - log I_{F/2-1}(kappa), and A_F = I_{F/2} / I_{F/2-1}."""
    with mpmath.workdps(60):
        kappa, order = mpmath.mpf(concentration), mpmath.mpf(dimensions) / 2 - 1
        bessel = mpmath.besseli(order, kappa)
        value = order * mpmath.log(kappa) - (order + 1) * mpmath.log(2 * mpmath.pi) - mpmath.log(bessel)
        return float(value), float(mpmath.besseli(order + 1, kappa) / bessel)


@pytest.mark.parametrize("dimensions", [2, 3, 19, 20, 64, 101, 255, 512])
@pytest.mark.parametrize("concentration", [LOWEST, 0.5, 7.0, 100.0, 3000.0, HIGHEST])
def test_value_and_gradient_are_exact(concentration, dimensions):
    kappa = torch.tensor(concentration, dtype=torch.float64, requires_grad=True)
    value = log_normaliser(kappa, dimensions)
    value.backward()
    expected, mean_resultant = exact(concentration, dimensions)
    # terms of order 1e4 to 1e5 (lgamma of 6000) in float64: 1e5 x 2^-52 = 2e-11, doubled by the sum
    assert value.item() == pytest.approx(expected, rel=1e-8, abs=1e-8)
    assert kappa.grad.item() == pytest.approx(-mean_resultant, rel=1e-8, abs=1e-11)


def test_float32_parameters_get_float32_gradients():
    kappa = torch.tensor(50.0, requires_grad=True)
    (3 * log_normaliser(kappa, 20)).backward()
    assert kappa.grad.dtype == torch.float32
    assert kappa.grad.item() == pytest.approx(-3 * exact(50.0, 20)[1], rel=1e-6)
