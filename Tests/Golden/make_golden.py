#!/usr/bin/env python3
"""Makes the golden values that ModelsTests and TrainingTests compare with: small models of XGBoost, scikit-learn and PyTorch, rows
that they were asked about (missing values among them), and what they answered. Everything is seeded.

    python3 Tests/Golden/make_golden.py        # all
    python3 Tests/Golden/make_golden.py gan    # the adversarial network's game alone

Made with Python 3, numpy 2.4, scikit-learn 1.9, xgboost 1.7.6, torch 2.15; run it again only to add a case.
Rows: `features.safetensors` (rows x 24, NaN where missing is written as 1e30, since JSON and the tests' reader know no NaN)
and `pictures.safetensors` (rows x 90 x 16). Answers: `<case>.json`.
"""
import json
import pathlib
import struct
import sys
import warnings

import numpy as np
import torch
import xgboost
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import auc, mean_absolute_error, mean_squared_error
from sklearn.preprocessing import StandardScaler

warnings.filterwarnings("ignore")
HERE = pathlib.Path(__file__).parent
ROWS, FEATURES, DAYS, CHANNELS, ASKED = 1500, 24, 90, 16, 48
MISSING = np.float32(1e30)
generator = np.random.default_rng(20261124)
torch.manual_seed(20261124)


def write_tensors(name, tensors):
    header, data, offset = {}, b"", 0
    for key, value in tensors.items():
        value = np.ascontiguousarray(value, dtype="<f4")
        header[key] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [offset, offset + value.nbytes]}
        data += value.tobytes()
        offset += value.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    (HERE / f"{name}.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)


def write_json(name, value):
    def plain(x):
        if isinstance(x, np.ndarray):
            return [plain(y) for y in x]
        if isinstance(x, (np.floating, float)):
            return float(f"{float(x):.9g}")
        return x

    text = json.dumps({key: plain(x) for key, x in value.items()}, separators=(",", ":"))
    (HERE / f"{name}.json").write_text(text + "\n")


def make_rows():
    x = generator.normal(size=(ROWS, FEATURES)).astype(np.float32)
    x[:, 3] = np.exp(x[:, 3] * 2 + 5)  # money
    x[:, 4] = generator.poisson(2, ROWS)
    x[:, 5] = -np.exp(x[:, 5] * 2 + 4) * (x[:, 6] > 0)
    x[generator.random(x.shape) < 0.15] = np.nan
    known = np.nan_to_num(x)
    score = known[:, 0] + 0.8 * known[:, 1] * (known[:, 2] > 0) - 0.4 * np.log1p(known[:, 3]) + np.isnan(x[:, 0])
    label = (score + generator.normal(size=ROWS) > -0.5).astype(np.float32)
    amount = np.maximum(0, score * 300 + 500 + generator.normal(size=ROWS) * 100).astype(np.float32)
    return x, label, amount


def forest(name, x, y, asked, **parameters):
    rounds = parameters.pop("rounds")
    booster = xgboost.train({"seed": 7, "nthread": 1, **parameters}, xgboost.DMatrix(x, y), rounds)
    booster.save_model(HERE / f"{name}.forest.json")
    document = json.loads((HERE / f"{name}.forest.json").read_text())
    (HERE / f"{name}.forest.json").write_text(json.dumps(document, separators=(",", ":")) + "\n")
    rows = xgboost.DMatrix(asked)
    write_json(name, {
        "margin": booster.predict(rows, output_margin=True),
        "output": booster.predict(rows),
        "contributions": booster.predict(rows, pred_contribs=True),
    })


def linear(x, label, asked):
    chosen, logs, indicators = [0, 1, 3, 5, 9], [3, 5], [0, 3]
    selected = x[:, chosen].astype(np.float64)
    for feature in logs:
        column = chosen.index(feature)
        selected[:, column] = np.sign(selected[:, column]) * np.log1p(np.abs(selected[:, column]))
    scaler = StandardScaler().fit(selected)  # ignores what is missing
    missing = np.isnan(x[:, indicators]).astype(np.float64)

    def inputs(rows):
        z = rows[:, chosen].astype(np.float64)
        for feature in logs:
            column = chosen.index(feature)
            z[:, column] = np.sign(z[:, column]) * np.log1p(np.abs(z[:, column]))
        z = np.clip(np.nan_to_num(scaler.transform(z)), -3, 3)
        return np.hstack([z, np.isnan(rows[:, indicators]).astype(np.float64)])

    model = LogisticRegression().fit(inputs(x), label)
    probability = model.predict_proba(inputs(x))[:, 1]
    isotonic = IsotonicRegression(out_of_bounds="clip").fit(probability, label)
    write_tensors("linear", {
        "coefficients": model.coef_[0], "intercept": model.intercept_,
        "features.mean": scaler.mean_, "features.scale": scaler.scale_,
    })
    asked_probability = model.predict_proba(inputs(asked))[:, 1]
    write_json("linear", {
        "features": chosen, "logarithmic": logs, "missing_indicators": indicators, "limit": 3.0,
        "margin": model.decision_function(inputs(asked)), "probability": asked_probability,
        "contributions": inputs(asked) * model.coef_[0],
        "knots_x": isotonic.X_thresholds_, "knots_y": isotonic.y_thresholds_,
        "calibrated": isotonic.predict(asked_probability),
    })


def fitted_scale(x, chosen):
    return np.nanmean(x[:, chosen], axis=0), np.nanstd(x[:, chosen], axis=0)


def dense(x, asked):
    chosen = [0, 1, 2, 7, 8, 10, 11]
    mean, scale = fitted_scale(x, chosen)
    net = torch.nn.Sequential(
        torch.nn.Linear(len(chosen) + 1, 20), torch.nn.Tanh(), torch.nn.Linear(20, 17), torch.nn.ReLU(),
        torch.nn.Linear(17, 5), torch.nn.Sigmoid(), torch.nn.Linear(5, 1)).double()
    z = np.nan_to_num((asked[:, chosen].astype(np.float64) - mean) / scale)
    z = np.hstack([z, np.isnan(asked[:, [2]])])
    with torch.no_grad():
        margin = net(torch.tensor(z)).numpy()[:, 0]
    layers = [net[0], net[2], net[4], net[6]]
    tensors = {"features.mean": mean, "features.scale": scale}
    for index, layer in enumerate(layers):
        tensors[f"dense{index}.weight"] = layer.weight.detach().numpy()
        tensors[f"dense{index}.bias"] = layer.bias.detach().numpy()
    write_tensors("dense", tensors)
    write_json("dense", {"features": chosen, "missing_indicators": [2], "margin": margin})


def convolutional(x, asked):
    chosen = [0, 1, 2]
    mean, scale = fitted_scale(x, chosen)
    pictures = np.where(generator.random((ASKED, DAYS, CHANNELS)) < 0.1,
                        np.exp(generator.normal(size=(ASKED, DAYS, CHANNELS)) + 3), 0).astype(np.float32)
    picture_mean, picture_scale = np.full(CHANNELS, 0.3), np.linspace(0.5, 2, CHANNELS)
    first = torch.nn.Conv1d(CHANNELS, 20, 7, stride=2, padding=3).double()
    second = torch.nn.Conv1d(20, 12, 3, stride=1, padding=0).double()
    hidden = torch.nn.Linear(12 * 10 + len(chosen), 9).double()
    last = torch.nn.Linear(9, 1).double()
    z = torch.tensor((np.sign(pictures) * np.log1p(np.abs(pictures.astype(np.float64))) - picture_mean) / picture_scale)
    static = torch.tensor(np.nan_to_num((asked[:, chosen].astype(np.float64) - mean) / scale))

    def run(pool):
        h = torch.relu(first(z.transpose(1, 2)))
        h = pool(h, 2)
        h = torch.relu(second(h))
        h = torch.nn.functional.avg_pool1d(h, 2)
        h = torch.tanh(hidden(torch.hstack([h.flatten(1), static])))
        return last(h).detach().numpy()[:, 0]

    tensors = {"features.mean": mean, "features.scale": scale, "picture.mean": picture_mean,
               "picture.scale": picture_scale}
    for name, layer in {"conv1": first, "conv2": second, "hidden": hidden, "last": last}.items():
        tensors[f"{name}.weight"] = layer.weight.detach().numpy()
        tensors[f"{name}.bias"] = layer.bias.detach().numpy()
    write_tensors("convolutional", tensors)
    write_json("convolutional", {
        "features": chosen, "margin_max": run(torch.nn.functional.max_pool1d),
        "margin_average": run(torch.nn.functional.avg_pool1d)})
    write_tensors("pictures", {"rows": pictures})


def network_gradients():
    """Losses and gradients of training's networks: parameters layer by layer, weights and then biases, a dense weight as
    [outputs][inputs], a convolution's as [kernel][inputs][outputs]."""
    own = np.random.default_rng(7)
    torch.manual_seed(7)
    rows, channels, statics, count = 14, 3, 4, 6
    pictures = torch.tensor(np.where(own.random((count, rows, channels)) < 0.4, own.normal(size=(count, rows, channels)), 0))
    features = torch.tensor(own.normal(size=(count, statics)))
    cases = []
    for name, pool, loss in (("max", torch.nn.functional.max_pool1d, "squared_error"),
                             ("average", torch.nn.functional.avg_pool1d, "logistic"), ("dense", None, "logistic")):
        convolutions = [torch.nn.Conv1d(channels, 5, 3, stride=2).double(), torch.nn.Conv1d(5, 4, 3).double()]
        hidden = torch.nn.Linear(statics + (4 * 2 if pool else 0), 6).double()
        last = torch.nn.Linear(6, 1).double()
        x = features
        if pool:
            h = pictures.transpose(1, 2)
            for layer in convolutions:
                h = torch.relu(layer(h))
            x = torch.hstack([pool(h, 2).flatten(1), features])
        output = last(torch.relu(hidden(x)))[:, 0]
        targets = torch.tensor((own.random(count) < 0.5) if loss == "logistic" else own.normal(size=count)).double()
        value = (torch.nn.functional.binary_cross_entropy_with_logits(output, targets) if loss == "logistic"
                 else torch.nn.functional.mse_loss(output, targets) / 2)
        value.backward()
        parameters, gradients = [], []
        for layer in (convolutions if pool else []) + [hidden, last]:
            for tensor in (layer.weight, layer.bias):
                order = (2, 1, 0) if tensor.ndim == 3 else tuple(range(tensor.ndim))
                parameters += tensor.detach().permute(order).flatten().tolist()
                gradients += tensor.grad.permute(order).flatten().tolist()
        cases.append({"name": name, "loss": loss, "targets": targets.numpy(), "value": float(value.detach()),
                      "parameters": np.array(parameters), "gradient": np.array(gradients)})
    write_text("network_gradients", {"rows": rows, "channels": channels, "statics": statics, "count": count,
                                     "pictures": pictures.flatten().numpy(), "features": features.flatten().numpy(),
                                     "cases": cases})


def money_metrics():
    """Measures of amounts by scikit-learn: the Gini coefficients are areas under Lorenz curves."""
    own = np.random.default_rng(11)
    actual = np.where(own.random(200) < 0.6, np.exp(own.normal(size=200) + 5), 0)
    forecast = actual * 0.5 + np.exp(own.normal(size=200) + 4)

    def gini(order):
        share = np.concatenate([[0], np.cumsum(actual[order]) / actual.sum()])
        return 2 * auc(np.linspace(0, 1, len(share)), share) - 1

    tenth = np.argsort(-forecast)[:20]
    write_text("money_metrics", {
        "forecast": forecast, "actual": actual, "mae": mean_absolute_error(actual, forecast),
        "rmse": mean_squared_error(actual, forecast) ** 0.5,
        "normalized_gini": gini(np.argsort(-forecast)) / gini(np.argsort(-actual)),
        "lift_10": actual[tenth].mean() / actual.mean()})


def write_text(name, value):
    """As `write_json`, of values within values."""
    def plain(x):
        if isinstance(x, dict):
            return {key: plain(y) for key, y in x.items()}
        if isinstance(x, (list, np.ndarray)):
            return [plain(y) for y in x]
        return float(f"{float(x):.9g}") if isinstance(x, (np.floating, float)) else x

    (HERE / f"{name}.json").write_text(json.dumps(plain(value), separators=(",", ":")) + "\n")
def gan():
    """The losses and gradients of both players of the adversarial network, by automatic differentiation."""
    random = np.random.default_rng(20261125)
    noise, hidden, pack, temperature, weight = 5, 8, 2, 0.3, 10.0
    # Two columns: a place within modes and three categories; four categories. Then the class, one number each.
    width, groups, places = 8, [(1, 4), (4, 8)], [0]
    row = width + 2
    rows, packs = 8, 4

    def stack(widths):
        return [(torch.tensor(random.normal(size=(b, a)) * 0.5, requires_grad=True),
                 torch.tensor(random.normal(size=b) * 0.3, requires_grad=True)) for a, b in zip(widths, widths[1:])]

    def run(layers, x):
        for index, (w, b) in enumerate(layers):
            x = x @ w.T + b
            if index + 1 < len(layers):
                x = torch.nn.functional.leaky_relu(x, 0.2)
        return x

    def flat(layers, values):
        return np.concatenate([np.concatenate([w.ravel(), b.ravel()]) for w, b in values(layers)])

    critic, generator = stack([row * pack, 7, 6, 1]), stack([noise + 2, hidden, width])
    classes = random.integers(0, 2, rows)
    onehot = torch.tensor(np.eye(2)[classes])
    real = torch.tensor(random.normal(size=(rows, width)))
    z = torch.tensor(random.normal(size=(rows, noise)))
    gumbel = torch.tensor(random.gumbel(size=(rows, width)))
    parts = torch.tensor(random.random(packs))

    def made():
        raw = run(generator, torch.hstack([z, onehot]))
        pieces = [torch.tanh(raw[:, places])]
        pieces += [torch.softmax((raw[:, a:b] + gumbel[:, a:b]) / temperature, 1) for a, b in groups]
        return torch.hstack(pieces)

    def packed(x):
        return torch.hstack([x, onehot]).reshape(packs, row * pack)

    fake = packed(made().detach())
    between = (parts[:, None] * packed(real) + (1 - parts[:, None]) * fake).requires_grad_(True)
    slope, = torch.autograd.grad(run(critic, between).sum(), between, create_graph=True)
    loss = run(critic, fake).mean() - run(critic, packed(real)).mean()
    loss = loss + weight * ((slope.norm(dim=1) - 1) ** 2).mean()
    flat_critic = [t for layer in critic for t in layer]
    # The last bias takes no part in the loss.
    grads = torch.autograd.grad(loss, flat_critic, allow_unused=True)
    critic_gradient = np.concatenate(
        [(np.zeros(t.shape) if g is None else g.numpy()).ravel() for t, g in zip(flat_critic, grads)])
    persuasion = -run(critic, packed(made())).mean()
    grads = torch.autograd.grad(persuasion, [t for layer in generator for t in layer])
    write_json("gan", {
        "noise": noise, "hidden": hidden, "pack": pack, "temperature": temperature, "penalty": weight,
        "critic": flat(critic, lambda l: [(w.detach().numpy(), b.detach().numpy()) for w, b in l]),
        "generator": flat(generator, lambda l: [(w.detach().numpy(), b.detach().numpy()) for w, b in l]),
        "classes": [float(c) for c in classes], "real": real.numpy().ravel(), "inputs": z.numpy().ravel(),
        "gumbels": gumbel.numpy().ravel(), "parts": parts.numpy(),
        "made": made().detach().numpy().ravel(), "critic_loss": loss.item(), "critic_gradient": critic_gradient,
        "generator_loss": persuasion.item(), "generator_gradient": np.concatenate([g.numpy().ravel() for g in grads])})


def main():
    if sys.argv[1:] == ["gan"]:
        return gan()
    x, label, amount = make_rows()
    asked = x[:ASKED].copy()
    asked[0] = np.nan
    asked[1] = 0
    asked[2] = -0.0
    write_tensors("features", {"rows": np.where(np.isnan(asked), MISSING, asked)})
    forest("boosted", x, label, asked, rounds=30, max_depth=4, eta=0.3, objective="binary:logistic", base_score=0.3)
    forest("deep", x, amount, asked, rounds=2, max_depth=11, eta=0.5, objective="reg:squarederror", min_child_weight=1)
    forest("random_forest", x, label, asked, rounds=1, max_depth=6, num_parallel_tree=13, subsample=0.6,
           colsample_bynode=0.4, learning_rate=1, objective="binary:logistic")
    forest("positive", x, amount + 1, asked, rounds=10, max_depth=3, objective="count:poisson", base_score=200,
           min_child_weight=0)
    forest("stump", x, amount, asked, rounds=1, max_depth=3, gamma=1e12, objective="reg:squarederror")
    linear(x, label, asked)
    dense(x, asked)
    convolutional(x, asked)
    network_gradients()
    money_metrics()
    gan()


if __name__ == "__main__":
    main()
