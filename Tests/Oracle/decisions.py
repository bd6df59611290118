#!/usr/bin/env python3
"""Decides again, from the contract alone, what `lendpulse score` decided, and names the first difference.

usage: decisions.py EVENTS.ndjson SCORES.ndjson ALERTS.ndjson LEADS.ndjson [--partitions N]

Probabilities, utilisation and forecasts are taken from the scores file (they are the models'); everything else is
computed here from the events: which events are accepted, the watermark, the timers and their order, arrears, exposure,
alerts and leads under the default thresholds. Events must be well formed. Slow and obvious on purpose.
"""
import argparse, json, sys
from datetime import datetime, timezone
from decimal import Decimal

HOUR, DAY = 3_600_000, 86_400_000
LATENESS, DEDUPE_WINDOW, DEDUPE_MOST = 300_000, 7 * DAY, 4096
LEVELS = ["none", "low", "medium", "high", "critical"]
BANDS = [(0.75, 4), (0.5, 3), (0.25, 2), (0.1, 1)]
RAISE_AT, RAISE_EDGE, CLEAR_MARGIN, ALERT_COOLDOWN = 2, 0.25, 0.05, 24 * HOUR
LEAD_THRESHOLD, LEAD_MARGIN, LEAD_OVERDUE, LEAD_COOLDOWN, LEAD_VALID, LEAD_SHARE = 0.6, 0.05, 0.25, 14 * DAY, 30 * DAY, 0.2


def murmur2(data):
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = (0x9747B28C ^ len(data)) & mask
    for i in range(0, len(data) // 4 * 4, 4):
        k = int.from_bytes(data[i:i + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = (h * m & mask) ^ k
    tail = data[len(data) // 4 * 4:]
    if tail:
        h = (h ^ int.from_bytes(tail, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


def positive(borrower):
    return murmur2(borrower.encode()) & 0x7FFFFFFF


def milliseconds(value):
    if isinstance(value, int):
        return value
    at = datetime.fromisoformat(value.replace("Z", "+00:00"))
    delta = at - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return delta.days * DAY + delta.seconds * 1000 + delta.microseconds // 1000


def text(ms):
    at = datetime.fromtimestamp(ms // 1000, timezone.utc)
    return at.strftime("%Y-%m-%dT%H:%M:%S") + f".{ms % 1000:03d}Z"


class Open:
    """An amount due or missed."""

    def __init__(self, loan, platform, at, amount, event_id, announced, days=None):
        self.loan, self.platform, self.amount = loan, platform, amount  # amount None: any repayment ends it
        self.at, self.days, self.event_id, self.announced = at, days, event_id, announced
        self.is_missed = days is not None
        self.fired = self.is_missed

    def since(self):  # for "oldest first"
        return self.at - int(self.days * DAY) if self.is_missed else self.at

    def counts(self, now):
        return self.is_missed or self.at <= now

    def days_at(self, now):
        return (int(self.days) if self.is_missed else 0) + max(0, now - self.at) // DAY


class Borrower:
    def __init__(self, identifier):
        self.id, self.time, self.platform = identifier, -(1 << 60), "default"
        self.seen, self.opens, self.consent = [], [], False
        self.statement, self.moves = {}, []
        self.consent_at = -(1 << 60)
        self.p = self.u = self.f = None
        self.alert = self.cleared = self.lead = self.lead_ended = None

    def arrears(self, now):
        return [o for o in self.opens if o.counts(now)]

    def days(self, now):
        return max((o.days_at(now) for o in self.arrears(now)), default=0)

    def amount(self, now):
        return sum(o.amount or 0 for o in self.arrears(now))

    def exposure(self):
        total = 0
        for platform in {p for p, _, _ in self.moves} | set(self.statement):
            since, balance = self.statement.get(platform, (None, 0))
            total += max(0, balance + sum(a for p, at, a in self.moves if p == platform and (since is None or at >= since)))
        return total

    def settle(self, event, at):
        left, loan, platform = event["amount"], event.get("loan_id"), event.get("platform") or "default"
        mine = [o for o in self.opens if at >= o.announced
                and (o.loan == loan if loan else o.platform == platform)]
        for o in sorted(mine, key=Open.since):
            if o.amount is None:
                self.opens.remove(o)
                continue
            part = min(left, o.amount)
            o.amount -= part
            left -= part
            if o.amount <= 0:
                self.opens.remove(o)

    def apply(self, event, at):
        kind, platform = event["type"], event.get("platform") or "default"
        self.time, self.platform = max(self.time, at), platform
        loan = event.get("loan_id") or "platform:" + platform
        if kind == "profile_updated" and "marketing_consent" in event["profile"] and at >= self.consent_at:
            self.consent, self.consent_at = event["profile"]["marketing_consent"] is True, at
        elif kind == "drawdown":
            self.moves.append((platform, at, event["amount"]))
        elif kind == "repayment":
            self.moves.append((platform, at, -event["amount"]))
            self.settle(event, at)
        elif kind == "statement_issued":
            if at >= self.statement.get(platform, (-(1 << 60), 0))[0]:
                # What came in the same millisecond before the statement is in its balance.
                self.moves = [m for m in self.moves if m[0] != platform or m[1] > at]
                self.statement[platform] = (at, event["balance"])
            if event.get("due_at") is not None and (event.get("minimum_due") or 0) > 0:
                self.opens.append(Open("platform:" + platform, platform, milliseconds(event["due_at"]),
                                       event["minimum_due"], event["event_id"], at))
        elif kind == "installment_due" and event["amount"] > 0:
            self.opens.append(Open(loan, platform, milliseconds(event["due_at"]), event["amount"], event["event_id"], at))
        elif kind == "payment_missed":
            self.opens = [o for o in self.opens if o.loan != loan or not (o.is_missed or o.at <= at)]
            self.opens.append(Open(loan, platform, at, event.get("amount"), event["event_id"], at, event["days_past_due"]))


class Oracle:
    def __init__(self, scores, alerts, leads):
        self.scores, self.alerts, self.leads = scores, alerts, leads
        self.borrowers, self.watermark, self.offset = {}, -(1 << 60), 0

    def expect(self, records, what, wanted):
        if not records:
            raise SystemExit(f"missing {what}: {wanted}")
        record = records.pop(0)
        for key, value in wanted.items():
            have = record.get(key)
            same = abs(have - value) <= 1e-6 * max(1, abs(value)) if isinstance(value, float) and isinstance(have, (int, float)) \
                else have == value
            if not same:
                raise SystemExit(f"{what} differs in {key}: expected {value!r}, is {have!r}\nexpected {wanted}\nrecord {record}")
        return record

    def base(self, b, at, trigger, event_id, platform):
        return {"borrower_id": b.id, "as_of": text(at), "trigger": trigger, "triggering_event_id": event_id,
                "platform": platform}

    def score(self, b, at, trigger, event_id, platform):
        owes = b.exposure() > 0 or bool(b.arrears(b.time))
        record = self.expect(self.scores, "score", self.base(b, at, trigger, event_id, platform) | {
            "overdue_basis": "owing" if owes else "if_lent"})
        b.before = b.p
        b.p, b.u, b.f = record["overdue_probability"], record["predicted_utilization"], record["forecast_borrowing_30d"]
        self.decide_alert(b, at, trigger, event_id, platform)
        self.decide_lead(b, at, trigger, event_id, platform)

    def publish_alert(self, b, status, level, at, trigger, event_id, platform):
        record = self.expect(self.alerts, "alert", self.base(b, at, trigger, event_id, platform) | {
            "status": status, "severity": LEVELS[b.alert["severity"]], "current_level": LEVELS[level],
            "overdue_probability": b.p, "exposure": float(b.exposure()), "days_past_due": b.days(b.time),
            "amount_past_due": float(b.amount(b.time))})
        if "id" not in b.alert:
            b.alert["id"] = record["alert_id"]
        if record["alert_id"] != b.alert["id"]:
            raise SystemExit(f"alert_id changed while open: {record}")

    def decide_alert(self, b, *context):
        rule = 4 if b.days(b.time) >= 60 else 0
        level = max(next((l for edge, l in BANDS if b.p >= edge), 0), rule)
        if b.alert is None:
            if level < RAISE_AT:
                return
            if b.cleared and b.time < b.cleared[0] + ALERT_COOLDOWN and level <= b.cleared[1]:
                return
            b.alert = {"severity": level, "level": level}
            self.publish_alert(b, "raised", level, *context)
        elif b.p < RAISE_EDGE - CLEAR_MARGIN and rule < RAISE_AT:
            self.publish_alert(b, "cleared", level, *context)
            b.cleared, b.alert = (b.time, b.alert["severity"]), None
        elif level > b.alert["severity"]:
            b.alert["severity"] = b.alert["level"] = level
            self.publish_alert(b, "escalated", level, *context)
        elif level < b.alert["level"]:
            b.alert["level"] = level
            self.publish_alert(b, "eased", level, *context)
        else:
            b.alert["level"] = level

    def publish_lead(self, b, status, because, at, trigger, event_id, platform):
        wanted = self.base(b, at, trigger, event_id, platform) | {
            "status": status, "predicted_utilization": b.u, "forecast_borrowing_30d": b.f, "overdue_probability": b.p,
            "threshold": LEAD_THRESHOLD, "valid_until": text(b.lead["until"])}
        if len(because) == 1:
            wanted["withdrawn_because"] = because[0]
        record = self.expect(self.leads, "lead", wanted)
        if because and record["withdrawn_because"] not in because:
            raise SystemExit(f"lead withdrawn because of {record['withdrawn_because']}, expected one of {because}")
        if "id" not in b.lead:
            b.lead["id"] = record["lead_id"]
        if record["lead_id"] != b.lead["id"]:
            raise SystemExit(f"lead_id changed while open: {record}")

    def decide_lead(self, b, at, trigger, event_id, platform):
        context = (at, trigger, event_id, platform)
        past_due = bool(b.arrears(b.time))
        if b.lead is None:
            if b.u >= LEAD_THRESHOLD and b.consent and b.p < LEAD_OVERDUE and not past_due \
                    and (b.lead_ended is None or b.time >= b.lead_ended + LEAD_COOLDOWN):
                b.lead = {"until": b.time + LEAD_VALID, "forecast": b.f, "event": event_id, "platform": platform}
                self.publish_lead(b, "opened", [], *context)
            return
        because = []
        if not b.consent: because.append("consent")
        if past_due: because.append("past_due")
        if b.p >= LEAD_OVERDUE: because.append("overdue_risk")
        if b.u < LEAD_THRESHOLD - LEAD_MARGIN: because.append("utilization")
        if b.time >= b.lead["until"]: because.append("expired")
        if because:
            self.publish_lead(b, "withdrawn", because, *context)
            b.lead, b.lead_ended = None, b.time
        elif abs(b.f - b.lead["forecast"]) > LEAD_SHARE * b.lead["forecast"]:
            b.lead["forecast"] = b.f
            self.publish_lead(b, "updated", [], *context)

    def fire(self):
        while True:
            passed = []
            for b in self.borrowers.values():
                jitter = positive(b.id) % 600_000
                for o in b.opens:
                    if not o.fired and o.at + jitter < self.watermark:
                        passed.append((o.at, 1, b.id.encode(), o.loan.encode(), b, o))
                if b.lead and b.lead["until"] + jitter < self.watermark:
                    passed.append((b.lead["until"], 2, b.id.encode(), b"", b, None))
            if not passed:
                return
            at, kind, _, _, b, o = min(passed, key=lambda t: t[:4])
            b.time = max(b.time, at)
            if kind == 1:
                o.fired = True
                self.score(b, at, "due_passed", o.event_id, o.platform)
            else:
                self.publish_lead(b, "withdrawn", ["expired"], at, "lead_expired", b.lead["event"], b.lead["platform"])
                b.lead, b.lead_ended = None, b.time

    def take(self, event):
        at = milliseconds(event["occurred_at"])
        self.watermark = max(self.watermark, at - LATENESS)
        self.fire()
        identifier = event["borrower_id"]
        b = self.borrowers.get(identifier)
        if event["type"] == "borrower_erased":
            if b and b.alert:
                self.expect(self.alerts, "alert", {"borrower_id": identifier, "status": "cleared", "alert_id": b.alert["id"]})
            if b and b.lead:
                self.expect(self.leads, "lead", {"borrower_id": identifier, "status": "withdrawn", "lead_id": b.lead["id"],
                                                 "withdrawn_because": "erased"})
            self.borrowers.pop(identifier, None)
            return
        if b is None:
            b = self.borrowers[identifier] = Borrower(identifier)
        b.seen = [(i, t) for i, t in b.seen if self.watermark <= t + DEDUPE_WINDOW][-DEDUPE_MOST:]
        if any(i == event["event_id"] for i, _ in b.seen):
            return
        b.seen.append((event["event_id"], at))
        b.apply(event, at)
        self.score(b, at, "event", event["event_id"], event.get("platform") or "default")


def lines(path, number=float):
    with open(path) as f:
        return [json.loads(line, parse_float=number) for line in f]


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("events", "scores", "alerts", "leads"):
        a.add_argument(name)
    a.add_argument("--partitions", type=int, default=1)
    a = a.parse_args()
    # Money adds up in decimals: 26.69 less 10.67 less 16.02 is nothing.
    events, outputs = lines(a.events, Decimal), [lines(a.scores), lines(a.alerts), lines(a.leads)]
    for partition in range(a.partitions):
        mine = lambda r: positive(r["borrower_id"]) % a.partitions == partition
        oracle = Oracle(*([r for r in records if mine(r)] for records in outputs))
        for event in filter(mine, events):
            oracle.take(event)
        for what, left in (("score", oracle.scores), ("alert", oracle.alerts), ("lead", oracle.leads)):
            if left:
                raise SystemExit(f"{len(left)} more {what} records than expected, the first: {left[0]}")
    print(f"{len(events)} events, {len(outputs[0])} scores, {len(outputs[1])} alerts, {len(outputs[2])} leads: as expected")


if __name__ == "__main__":
    sys.exit(main())
