"""Residuals of real maps: the best-fitting model map, what is left, and its continuation beyond a zone."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from deepmm_jax.density.experimental.residuals import best_fitting_model_map, continued, radial_rms, residual
from deepmm_jax.density.experimental.spectrum import TABLE
from deepmm_jax.density.simulate import add_gaussians


SHAPE = (40, 36, 32)


@pytest.fixture
def atoms(rng):
    return (rng.uniform(8, 24, size=(400, 3)) * np.array(SHAPE) / 32).astype(np.float32)


@pytest.fixture
def model(atoms):
    return add_gaussians(atoms, np.ones(400), np.full(400, 1.1), SHAPE)


@pytest.fixture
def support(atoms):
    return add_gaussians(atoms, np.ones(400), np.full(400, 2.0), SHAPE) > 0.1


def test_any_smooth_radial_filter_and_scale_is_found_inside_a_zone(model, support):
    truth = np.where(support, 7 * gaussian_filter(model, 0.8), 0).astype(np.float32)
    fitted = best_fitting_model_map(truth, model[None], support, neighbourhood=None)
    assert np.square(truth - fitted).sum() < 1e-3 * np.square(truth).sum()
    assert not fitted[~support].any()


def test_the_radial_fit_is_a_least_squares_fit(model, support, rng):
    data = np.where(support, gaussian_filter(model, 1.0) + 0.1 * rng.normal(size=SHAPE), 0).astype(np.float32)
    difference = (data - best_fitting_model_map(data, model[None], support, neighbourhood=None))[support]
    # The remainder is orthogonal to the model through any filter that is linear between the knots.
    for filtered in (model, gaussian_filter(model, 2.0)):
        cosine = difference @ filtered[support] / np.linalg.norm(difference) / np.linalg.norm(filtered[support])
        assert abs(cosine) < 1e-2


def test_parts_are_fitted_each_by_its_own_filter(model, support):
    other = np.roll(model, 3, axis=1)
    data = np.where(support, gaussian_filter(model, 0.8) + 0.3 * gaussian_filter(other, 1.5), 0).astype(np.float32)
    fitted = best_fitting_model_map(data, np.stack([model, other]), support, neighbourhood=None)
    assert np.square(data - fitted).sum() < 1e-3 * np.square(data).sum()
    as_one = best_fitting_model_map(data, (model + other)[None], support, neighbourhood=None)
    assert np.square(data - as_one).sum() > 1e-2 * np.square(data).sum()


def test_a_weak_part_leaves_no_imprint(model, support):
    weak = np.where(np.arange(SHAPE[0]) < 20, 1.0, 0.3)[:, None, None]
    data = np.where(support, weak * gaussian_filter(model, 0.8), 0).astype(np.float32)
    plain = np.square(data - best_fitting_model_map(data, model[None], support, neighbourhood=None)).sum()
    local = np.square(data - best_fitting_model_map(data, model[None], support, neighbourhood=4.0)).sum()
    assert local < 0.5 * plain


def test_what_was_added_to_the_model_is_what_is_left(model, support, rng):
    added = gaussian_filter(rng.normal(size=SHAPE), 0.7)
    data = (5 * gaussian_filter(model, 0.8) + added).astype(np.float32)
    left = residual(data, model[None], support)
    assert np.corrcoef(left[support], added[support])[0, 1] > 0.93
    assert left[support].mean() == pytest.approx(0, abs=1e-4)
    assert left[support].std() == pytest.approx(1, abs=1e-4)
    assert not left[~support].any()


def test_a_map_that_is_its_model_leaves_finite_values(model, support):
    assert np.isfinite(residual(model, model[None], support)).all()


def test_continuation_keeps_the_inside_and_the_level(support, rng):
    field = gaussian_filter(rng.normal(size=SHAPE), 1.0)
    inside = np.where(support, field / field[support].std(), 0).astype(np.float32)
    whole = continued(inside, support, rng)
    deep = np.all([np.roll(support, shift, axis) for axis in range(3) for shift in (-4, 4)], axis=0) & support
    assert np.corrcoef(whole[deep], inside[deep])[0, 1] > 0.95
    assert whole[~support].std() == pytest.approx(1, abs=0.1)
    # Neighbouring voxels outside are as alike as those inside.
    assert abs(lag_correlation(whole, ~support) - lag_correlation(inside, support)) < 0.15


def lag_correlation(data, where):
    pairs = where[1:] & where[:-1]
    return np.corrcoef(data[1:][pairs], data[:-1][pairs])[0, 1]


def test_radial_rms_of_white_noise_is_flat(rng):
    rms = radial_rms(rng.normal(size=SHAPE))
    assert rms.shape == TABLE.shape
    np.testing.assert_allclose(rms[40:280] / np.sqrt(np.prod(SHAPE)), 1, atol=0.12)
