#!/usr/bin/env python3
"""Makes the golden values that TrainingTests compare the measures with, by scikit-learn, scipy and numpy. Everything is
seeded.

    python3 Tests/Golden/make_metrics.py

Made with Python 3, numpy 2.4, scipy 1.17 and scikit-learn 1.9; run it again only to add a case.
Answers: `metrics.json`, an array of cases, each with its inputs.
"""
import json
import pathlib

import numpy as np
from scipy.stats import ks_2samp
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    average_precision_score, brier_score_loss, log_loss, mean_absolute_error, mean_squared_error, precision_recall_curve,
    roc_auc_score, roc_curve)

generator = np.random.default_rng(20261125)


def rounded(values):
    return [float(f"{x:.12g}") for x in np.asarray(values, dtype=float)]


def expected_calibration_error(labels, scores, bins=10):
    # As calibration_curve cuts: bins hold their upper edge.
    counts = np.bincount(np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], scores), minlength=bins)
    true, mean = calibration_curve(labels, scores, n_bins=bins, strategy="uniform")
    return float(np.sum(counts[counts > 0] * np.abs(true - mean)) / len(scores))


def classification(name, scores, labels):
    scores = np.array(rounded(scores))
    first, second = scores[: len(scores) // 2], np.array(rounded(scores[len(scores) // 2:] ** 1.3))
    edges = np.unique(np.quantile(first, np.arange(1, 10) / 10))
    shares = [np.maximum(np.bincount(np.searchsorted(edges, x, side="left"), minlength=len(edges) + 1), 0.5) / len(x)
              for x in (first, second)]
    false, true, _ = roc_curve(labels, scores, drop_intermediate=False)
    precision, recall, _ = precision_recall_curve(labels, scores)
    auc = roc_auc_score(labels, scores)
    return {
        "name": name, "scores": rounded(scores), "labels": [bool(x) for x in labels],
        "auc": auc, "gini": 2 * auc - 1,
        "ks": float(ks_2samp(scores[labels == 1], scores[labels == 0]).statistic),
        "brier": brier_score_loss(labels, scores), "log_loss": log_loss(labels, scores),
        "ece": expected_calibration_error(labels, scores),
        "average_precision": average_precision_score(labels, scores),
        "psi_expected": rounded(first), "psi_actual": rounded(second),
        "psi": float(np.sum((shares[1] - shares[0]) * np.log(shares[1] / shares[0]))),
        "roc_x": rounded(false), "roc_y": rounded(true), "precision": rounded(precision), "recall": rounded(recall),
    }


def amounts(name, forecasts, actual):
    forecasts, actual = np.array(rounded(forecasts)), np.array(rounded(actual))

    def gini(order):
        cumulative = np.cumsum(actual[order]) / actual.sum()
        return cumulative.sum() / len(actual) - (len(actual) + 1) / (2 * len(actual))

    return {
        "name": name, "forecasts": rounded(forecasts), "actual": rounded(actual),
        "mae": mean_absolute_error(actual, forecasts), "rmse": float(np.sqrt(mean_squared_error(actual, forecasts))),
        "wape": float(np.abs(forecasts - actual).sum() / np.abs(actual).sum()),
        "normalized_gini": float(gini(np.argsort(-forecasts)) / gini(np.argsort(-actual))),
    }


def labels_of(scores):
    return (generator.random(len(scores)) < scores).astype(int)


smooth = generator.beta(1.2, 4, 400)
tied = np.round(generator.beta(2, 2, 300), 1).clip(0.05, 0.95)
rare = generator.beta(0.5, 30, 600)
money = np.where(generator.random(500) < 0.4, np.exp(generator.normal(6, 1.2, 500)), 0)
cases = {
    "classification": [
        classification("smooth", smooth, labels_of(smooth)),
        classification("many ties", tied, labels_of(tied)),
        classification("rare", rare, labels_of(rare)),
        classification("wrong way round", smooth, 1 - labels_of(smooth)),
    ],
    "amounts": [
        amounts("money", money * np.exp(generator.normal(0, 0.8, 500)) + generator.random(500), money),
        amounts("ratios", generator.random(200), generator.random(200)),
    ],
}
path = pathlib.Path(__file__).parent / "metrics.json"
path.write_text(json.dumps(cases, separators=(",", ":")) + "\n")
