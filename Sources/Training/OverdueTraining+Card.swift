import Borrowers
import Features
import Models

// What was trained becomes files, figures and the training card.
extension OverdueTraining {
  func assemble(
    _ results: OverdueResults, _ trained: [OverdueMember: TrainedMember]
  ) throws(TrainingError) -> TrainedModel {
    let chosen = results.chosen
    var files: [String: [UInt8]] = [:]
    var descriptions: [MemberDescription] = []
    for (member, weight) in zip(OverdueMember.allCases, chosen.fusion.weights) {
      guard let model = trained[member] else { continue }
      let (file, bytes, description) = described(member, model, weight: weight, chosen.variant.sizes)
      files[file] = bytes
      descriptions.append(description)
    }
    let architecture = Architecture.overdue(
      EnsembleDescription(
        members: descriptions, intercept: chosen.fusion.intercept, calibration: chosen.calibration, minimum: 0,
        maximum: 1))
    let cost: ServingCost
    do throws(ModelError) {
      cost = try ServingCost(architecture, files: files)
    } catch {
      throw TrainingError(.failed, "overdue: what was trained cannot serve: \(error.description)")
    }
    let report = report(chosen.fused)
    var metrics = report.figures
    metrics.merge(comparisons(results, cost)) { $1 }
    return TrainedModel(
      kind: .overdue, files: files, architecture: architecture, metrics: metrics, foldMetrics: foldMetrics(chosen),
      candidates: candidates(results), rows: rows,
      counts: [
        "positives": labels.count { $0 }, "owing": rows.count { table.owes[$0] }, "as_served": servedRows.count,
      ],
      choice: choice(results), card: card(results, cost), evidence: evidence(results))
  }

  private func described(
    _ member: OverdueMember, _ model: TrainedMember, weight: Double, _ sizes: OverdueSizes
  ) -> (file: String, bytes: [UInt8], MemberDescription) {
    switch model {
    case .linear(let model):
      let file = "\(member.name).safetensors"
      return (
        file, model.bytes,
        .linear(member.name, file: file, weight: weight, link: .logistic, inputs: model.fitting.inputs)
      )
    case .trees(let model):
      let file = "\(member.name).json"
      return (file, model.json, .forest(member.name, file: file, weight: weight, link: member.link))
    case .network(let model):
      let file = "\(member.name).safetensors"
      return (
        file, model.bytes,
        .dense(
          member.name, file: file, weight: weight, link: .logistic, inputs: model.fitting.inputs, layers: sizes.layers)
      )
    }
  }

  // MARK: Figures

  private func report(_ probabilities: [Double]) -> OverdueReport {
    var report = OverdueReport(all: ClassificationMetrics(probabilities: probabilities, labels: labels))
    report.addGroups(table, rows, probabilities, labels, dates: settings.asOf.dates)
    return report
  }

  private func foldMetrics(_ chosen: OverdueOutOfFold) -> [[String: Double]] {
    (0..<Self.folds).map { fold in
      let held = folds.validation(fold)
      return ClassificationMetrics(
        probabilities: held.map { chosen.fused[$0] }, labels: held.map { labels[$0] }
      ).figures()
    }
  }

  /// Every member and the fusion, without the adversarial network and with it, over all rows, dates and groups.
  private func candidates(_ results: OverdueResults) -> [Candidate] {
    func candidates(_ measured: OverdueOutOfFold, _ suffix: String, isServed: Bool) -> [Candidate] {
      OverdueMember.allCases.enumerated().map { index, member in
        Candidate(
          name: member.name + suffix, metrics: report(measured.probabilities[member]!).figures,
          chosen: isServed && measured.fusion.weights[index] > 0)
      } + [Candidate(name: "fusion" + suffix, metrics: report(measured.fused).figures, chosen: isServed)]
    }
    var all = candidates(results.plain, "", isServed: !results.isEnlargementKept)
    if let enlarged = results.enlarged {
      all += candidates(enlarged, "_with_gan", isServed: results.isEnlargementKept)
    }
    if let unbounded = results.unbounded {
      all.append(Candidate(name: "fusion_unbounded", metrics: report(unbounded.fused).figures, chosen: false))
    }
    if let free = results.unconstrained {
      all.append(Candidate(name: "fusion_unconstrained", metrics: report(free.fused).figures, chosen: false))
    }
    return all
  }

  private func comparisons(_ results: OverdueResults, _ cost: ServingCost) -> [String: Double] {
    let chosen = results.chosen
    var figures = ["score_us": cost.microseconds, "score_us_bound": settings.budget.share(of: .overdue)]
    if !servedRows.isEmpty {
      let served = ClassificationMetrics(probabilities: chosen.servedFused, labels: servedLabels)
      figures.merge(served.figures("as_served.")) { $1 }
      let name = chosen.calibratesOnEvents ? "calibrated_at_midnights_alone." : "calibrated_after_events_too."
      let other = ClassificationMetrics(probabilities: chosen.otherwise.fused, labels: labels)
      figures.merge(other.figures(name)) { $1 }
      let servedOther = ClassificationMetrics(probabilities: chosen.otherwise.served, labels: servedLabels)
      figures.merge(servedOther.figures(name + "as_served.")) { $1 }
    }
    let best = results.overBestMember(self)
    figures.merge(best.area.figures("fusion_over_best_member.auc")) { $1 }
    figures.merge(best.loss.figures("fusion_over_best_member.log_loss")) { $1 }
    if let gain = results.gain {
      figures.merge(gain.figures("gan.log_loss")) { $1 }
      figures["gan.is_kept"] = results.isEnlargementKept ? 1 : 0
    }
    for (name, other) in [("unbounded", results.unbounded), ("unconstrained", results.unconstrained)] {
      guard let other else { continue }
      let area = PairedInterval.areaUnderROC(other.fused, over: chosen.fused, labels, borrowers)
      let loss = PairedInterval.logLoss(other.fused, over: chosen.fused, labels, borrowers)
      figures.merge(area.figures(name + ".auc")) { $1 }
      figures.merge(loss.figures(name + ".log_loss")) { $1 }
    }
    return figures
  }

  private func evidence(_ results: OverdueResults) -> TrainingEvidence {
    let chosen = results.chosen
    var evidence = TrainingEvidence()
    evidence.rows = rows
    evidence.folds = folds.foldOfRow
    evidence.forecasts = chosen.fused
    evidence.actual = labels.map { $0 ? 1 : 0 }
    for member in OverdueMember.allCases { evidence.members[member.name] = chosen.probabilities[member] }
    evidence.servedRows = servedRows
    evidence.servedForecasts = chosen.servedFused
    evidence.servedActual = servedLabels.map { $0 ? 1 : 0 }
    evidence.curves = chosen.curves
    evidence.comparisons = comparisonTables(results)
    return evidence
  }

  private func comparisonTables(_ results: OverdueResults) -> [TrainingEvidence.Comparison] {
    let columns = ["auc", "ks", "gini", "brier", "log_loss", "ece"]
    func row(_ name: String, _ probabilities: [Double], isChosen: Bool = false) -> TrainingEvidence.Comparison.Row {
      .init(
        name: name, figures: ClassificationMetrics(probabilities: probabilities, labels: labels).figures(),
        isChosen: isChosen)
    }
    func rows(_ measured: OverdueOutOfFold, _ suffix: String, isChosen: Bool) -> [TrainingEvidence.Comparison.Row] {
      OverdueMember.allCases.map { row($0.name + suffix, measured.probabilities[$0]!) }
        + [row("fusion" + suffix, measured.fused, isChosen: isChosen)]
    }
    var tables: [TrainingEvidence.Comparison] = []
    if let enlarged = results.enlarged {
      tables.append(
        .init(
          title: "With and without made rows", explanation: ganVerdict(results), columns: columns,
          rows: rows(results.plain, "", isChosen: !results.isEnlargementKept)
            + rows(enlarged, "_with_gan", isChosen: results.isEnlargementKept)))
    }
    var sizes = [row("fusion", results.chosen.fused, isChosen: true)]
    if let unbounded = results.unbounded { sizes.append(row("fusion_unbounded", unbounded.fused)) }
    if let free = results.unconstrained { sizes.append(row("fusion_unconstrained", free.fused)) }
    if sizes.count > 1 {
      tables.append(
        .init(
          title: "What bounds cost", explanation: "The served model beside one without the bound on its time.",
          columns: columns, rows: sizes))
    }
    if !servedRows.isEmpty {
      let served = ClassificationMetrics(probabilities: results.chosen.servedFused, labels: servedLabels)
      tables.append(
        .init(
          title: "At midnights and right after events",
          explanation: calibrationText(results.chosen) + " Beside it, what the other calibration would give.",
          columns: columns,
          rows: [
            row("midnight", results.chosen.fused, isChosen: true),
            .init(name: "as_served", figures: served.figures(), isChosen: true),
            row("midnight, otherwise", results.chosen.otherwise.fused),
            .init(
              name: "as_served, otherwise",
              figures: ClassificationMetrics(
                probabilities: results.chosen.otherwise.served, labels: servedLabels
              ).figures()),
          ]))
    }
    return tables
  }

  // MARK: Card

  private func card(_ results: OverdueResults, _ cost: ServingCost) -> String {
    let chosen = results.chosen
    let weights = zip(OverdueMember.allCases, chosen.fusion.weights)
      .map { "\($0.name) \(($1 * 1000).rounded() / 1000)" }.joined(separator: ", ")
    let best = results.overBestMember(self)
    var parts = [
      """
      Whether a borrower who owes, or draws within the horizon, becomes \(settings.labels.overdueDays) or more days \
      overdue within \(settings.asOf.horizonDays) days. Figures are out of fold over \(Self.folds) folds split by \
      borrower, on real rows at their natural rate; fusion and calibration are cross-fitted over the same folds. Members \
      and their weights in the fused score (non-negative linear regression of out-of-fold probabilities): \(weights). \
      \(calibrationText(chosen))
      """,
      """
      The fusion against its best member (\(best.member.name)) on the same folds, with the paired 95 % interval: AUC \
      \(best.area.text), log loss gained \(best.loss.text).
      """,
      ganText(results), sizeText(results, cost),
    ]
    if let free = results.unconstrained {
      let area = PairedInterval.areaUnderROC(chosen.fused, over: free.fused, labels, borrowers)
      let loss = PairedInterval.logLoss(chosen.fused, over: free.fused, labels, borrowers)
      parts.append(
        "Trees are monotonic in arrears, limit use, repayment and means. Against free ones: AUC \(area.text), log loss "
          + "gained \(loss.text).")
    }
    parts.append(
      "A member learns from at most so many rows, a seeded sample of more: "
        + OverdueMember.allCases.map { "\($0.name) \(OverdueTrainer.rowsMax($0))" }.joined(separator: ", ") + ".")
    return parts.joined(separator: "\n\n")
  }

  private func calibrationText(_ chosen: OverdueOutOfFold) -> String {
    let source = "Beta calibration on out-of-fold scores of"
    guard !servedRows.isEmpty else { return "\(source) \(rows.count) midnights." }
    return chosen.calibratesOnEvents
      ? "\(source) \(rows.count) midnights and \(servedRows.count) states right after events."
      : "\(source) \(rows.count) midnights alone: \(servedRows.count) states right after events would move their total by "
        + "over \(Int(OverdueOutOfFold.calibrationTolerance * 100)) %."
  }

  private func rounded(_ value: Double) -> String { "\((value * 10_000).rounded() / 10_000)" }

  private func choice(_ results: OverdueResults) -> String {
    "The fusion of all four members serves, as it was laid down. " + ganVerdict(results)
  }

  /// Whether made rows are kept, and why.
  private func ganVerdict(_ results: OverdueResults) -> String {
    guard let gain = results.gain else {
      return settings.isRehearsal
        ? "Without rows of an adversarial network, which this rehearsal does not measure."
        : "Without rows of an adversarial network (--gan never): figures with them were not measured."
    }
    let verdict: String
    switch (settings.gan, results.isEnlargementKept) {
    case (.always, _): verdict = "They are kept because --gan always says so."
    case (_, true): verdict = "They are kept: the whole interval is above 0."
    case (_, false): verdict = "They are left out: the interval is not above 0, so they do not help beyond doubt."
    }
    return
      "With each fold's training part enlarged by rows of a conditional adversarial network, the fused log loss is "
      + "lower by \(gain.text), paired 95 % interval. \(verdict)"
  }

  private func ganText(_ results: OverdueResults) -> String {
    guard results.gain != nil else { return ganVerdict(results) }
    return ganVerdict(results) + """
       The network makes every feature that varies, save those worked out from others \
      (\(DerivedFeatures.standard.columns.count) ratios, means, trends and differences), which are computed again on each \
      made row. No made row is validated on:

      """ + results.proofs.enumerated().map { $1.text($0) }.joined(separator: "\n")
  }

  private func sizeText(_ results: OverdueResults, _ cost: ServingCost) -> String {
    let sizes = results.chosen.variant.sizes
    var text = """
      Serves in \(rounded(cost.microseconds)) µs an event by counted operations, of \
      \(rounded(settings.budget.share(of: .overdue))) allowed: \(sizes.inputs) inputs, hidden layers \
      \(sizes.hidden.map(String.init).joined(separator: " and ")), at most \(sizes.boostedRounds) boosted trees of depth \
      \(sizes.boostedDepth), \(sizes.forestTrees) trees of depth \(sizes.forestDepth) in the forest.
      """
    if let unbounded = results.unbounded {
      let area = PairedInterval.areaUnderROC(unbounded.fused, over: results.chosen.fused, labels, borrowers)
      let loss = PairedInterval.logLoss(unbounded.fused, over: results.chosen.fused, labels, borrowers)
      let free = OverdueSizes.unbounded
      text += """
         Without the bound (\(free.boostedRounds) boosted trees, \(free.forestTrees) of depth \(free.forestDepth) in the \
        forest, at most \(rounded(free.cost.microseconds)) µs): AUC \(area.text), log loss gained \(loss.text).
        """
    }
    return text
  }
}
