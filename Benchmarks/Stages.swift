import Borrowers
import Features
import Models
import Scoring
import Simulation

/// CPU of one thread for each stage of an event, over a simulated world: 10,000 borrowers, 120 days.
struct Stages: ~Copyable {
  static let group = "CPU an event, one thread, no Kafka"
  let events: EventFile
  let models: ModelSet

  init(models: ModelSet, borrowers: Int = 10_000, days: Int = 120) {
    events = EventFile(borrowers: borrowers, days: days)
    self.models = models
  }

  func measure(into report: inout Report) {
    let count = Double(events.count)
    report.add(Self.group, "events", count, "events")
    report.add(Self.group, "bytes of an event", Double(events.bytes.count) / count, "bytes")
    let decoding = microseconds(perEvent: count) { decodeAll() }
    report.add(Self.group, "decode (JSON)", decoding, "µs")
    let applied = microseconds(perEvent: count) { decodeAndApplyAll(fills: false) } - decoding
    report.add(Self.group, "apply (find, read, apply, write state)", applied, "µs")
    let filled = microseconds(perEvent: count) { decodeAndApplyAll(fills: true) } - decoding - applied
    report.add(Self.group, "features (vector and picture)", filled, "µs")
    let predicted = measureModels(into: &report)
    let encoded = measureEncoding(into: &report)
    var scored = 0
    let whole = microseconds(perEvent: count) { scored = scoreAll(limit: events.count) }
    let rest = whole - decoding - applied - filled - predicted - encoded
    report.add(Self.group, "decide, timers, and the rest of the engine", rest, "µs")
    report.add(Self.group, "whole: decode to outputs", whole, "µs")
    report.add(Self.group, "output records for an event", Double(scored) / count, "records")
  }

  private func microseconds(perEvent count: Double, _ work: () -> Void) -> Double {
    let start = Clocks.threadCPU
    work()
    return (Clocks.threadCPU - start) / 1_000 / count
  }

  private func decodeAll() {
    var decoder = EventDecoder()
    var event = BorrowerEvent()
    for index in 0..<events.count { decode(index, &decoder, &event) }
  }

  private func decode(_ index: Int, _ decoder: inout EventDecoder, _ event: inout BorrowerEvent) {
    do throws(DecodingError) {
      unsafe try decoder.decode(
        events.value(index), key: nil, contentType: nil, recordTimestamp: events.times[index], into: &event)
    } catch {
      preconditionFailure("a simulated event is not valid: \(error)")
    }
  }

  private func decodeAndApplyAll(fills: Bool) {
    var decoder = EventDecoder()
    var event = BorrowerEvent()
    var store = BorrowerStore()
    var state = BorrowerState()
    var input = ModelInput()
    var bytes = ByteBuffer()
    let week = 7 * EventTime.millisecondsPerDay
    for index in 0..<events.count {
      decode(index, &decoder, &event)
      unsafe event.withBytes(of: event.borrowerID) { id in
        bytes.removeAll()
        if let handle = unsafe store.find(id) {
          store.read(handle, into: &bytes)
          do throws(StateError) { _ = try unsafe state.decode(bytes.bytes) } catch { preconditionFailure("\(error)") }
        } else {
          state.reset()
        }
        _ = state.apply(event, watermark: events.times[index] - 300_000, dedupeWindowMilliseconds: week)
        if fills { state.fill(&input, at: state.borrowerTime) }
        bytes.removeAll()
        state.encode(into: &bytes)
        unsafe store.write(id, bytes.bytes)
      }
    }
  }

  /// Each model over 500 borrowers' inputs in turn, so that branches are not learned by heart.
  private func measureModels(into report: inout Report) -> Double {
    let inputs = sampleInputs(500)
    var input = ModelInput()
    var workspace = ModelWorkspace()
    let rounds = 40
    let predictions = Double(rounds * inputs.count)
    func each(_ work: () -> Void) -> Double {
      let copying = microseconds(perEvent: predictions) {
        for _ in 0..<rounds { for sample in inputs { sample.copy(into: &input) } }
      }
      return microseconds(perEvent: predictions) { work() } - copying
    }
    var sum = 0.0
    if let overdue = models.overdue {
      let cost = each {
        for _ in 0..<rounds {
          for sample in inputs {
            sample.copy(into: &input)
            _ = overdue.predict(input, &workspace)
          }
        }
      }
      report.add(Self.group, "model overdue", cost, "µs")
      sum += cost
    }
    if let demand = models.demand {
      let cost = each {
        for _ in 0..<rounds {
          for sample in inputs {
            sample.copy(into: &input)
            _ = demand.predict(input, &workspace)
          }
        }
      }
      report.add(Self.group, "model demand", cost, "µs")
      sum += cost
    }
    if let utilization = models.utilization {
      let cost = each {
        for _ in 0..<rounds {
          for sample in inputs {
            sample.copy(into: &input)
            _ = utilization.predict(input, &workspace)
          }
        }
      }
      report.add(Self.group, "model utilization", cost, "µs")
      sum += cost
    }
    return sum
  }

  private struct Sample {
    var features: [Float]
    var cells: [UInt16]
    var levels: [Float]

    func copy(into input: inout ModelInput) {
      for index in features.indices { unsafe input.features[index] = features[index] }
      input.clearPicture()
      for index in cells.indices { input.shade(cells[index], levels[index]) }
    }
  }

  private func sampleInputs(_ count: Int) -> [Sample] {
    var decoder = EventDecoder()
    var event = BorrowerEvent()
    var states: [[UInt8]: ByteBuffer.Copy] = [:]
    var state = BorrowerState()
    var input = ModelInput()
    var bytes = ByteBuffer()
    var samples: [Sample] = []
    for index in 0..<events.count {
      decode(index, &decoder, &event)
      let id = unsafe event.withBytes(of: event.borrowerID) { unsafe Array($0) }
      if let held = states[id] {
        held.restore(&bytes)
        do throws(StateError) { _ = try unsafe state.decode(bytes.bytes) } catch { preconditionFailure("\(error)") }
      } else if states.count < count {
        state.reset()
      } else {
        continue
      }
      _ = state.apply(
        event, watermark: events.times[index] - 300_000, dedupeWindowMilliseconds: 7 * EventTime.millisecondsPerDay)
      bytes.removeAll()
      state.encode(into: &bytes)
      states[id] = ByteBuffer.Copy(bytes)
    }
    for id in states.keys.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
      states[id]?.restore(&bytes)
      do throws(StateError) { _ = try unsafe state.decode(bytes.bytes) } catch { preconditionFailure("\(error)") }
      state.fill(&input, at: state.borrowerTime)
      let cells = unsafe Array(input.shadedCells)
      let levels = cells.map { unsafe input.picture[Int($0)] }
      samples.append(unsafe Sample(features: Array(input.features), cells: cells, levels: levels))
    }
    return samples
  }

  private func measureEncoding(into report: inout Report) -> Double {
    var score = ScoreRecord()
    score.context.borrowerID = Array("B0001234".utf8)
    score.context.platform = Array("card".utf8)
    score.context.modelVersion = Array(models.version.utf8)
    score.context.triggeringEventID = Array("01JD2ZK6Q8XYZ".utf8)
    score.context.sourceTopic = Array("borrower-events".utf8)
    score.overdueProbability = 0.123_456_789
    score.borrowingProbability30d = 0.456_789_123
    score.forecastBorrowing30d = 1_234.567_8
    score.forecastBorrowing30dLower = 123.456_7
    score.forecastBorrowing30dUpper = 2_345.678_9
    score.predictedUtilization = 0.345_678_9
    score.utilizationTarget = Array("cumulative".utf8)
    var bytes = ByteBuffer()
    let rounds = 200_000
    let cost = microseconds(perEvent: Double(rounds)) {
      for index in 0..<rounds {
        bytes.removeAll()
        score.overdueProbability = Double(index) / Double(rounds)
        score.context.asOf = EventTime(milliseconds: 1_760_000_000_000 + Int64(index))
        score.encode(.json, into: &bytes)
      }
    }
    report.add(Self.group, "encode a score (JSON)", cost, "µs")
    return cost
  }

  /// The whole engine of one partition; returns how many records came out.
  @discardableResult @inline(never) func scoreAll(limit: Int) -> Int {
    var engine = PartitionEngine(partition: 0, configuration: EngineConfiguration(), models: models)
    engine.take(.settings(DecisionSettings(), controlID: "file:bench"))
    engine.take(.models(version: models.version, digest: models.digest))
    var decoder = EventDecoder()
    var event = BorrowerEvent()
    var outputs = OutputBatch()
    var records = 0
    for index in 0..<limit {
      decode(index, &decoder, &event)
      let source = RecordSource(offset: Int64(index), timestamp: events.times[index])
      engine.moveWatermark(occurredAt: event.occurredAt, recordTimestamp: events.times[index])
      while engine.step(source, &outputs) {}
      unsafe _ = engine.apply(event, source, traceparent: UnsafeBufferPointer(start: nil, count: 0), &outputs)
      if outputs.entries.count > 1_000 {
        records += outputs.entries.count
        outputs.removeAll()
      }
    }
    return records + outputs.entries.count
  }
}

extension ByteBuffer {
  /// The bytes of a buffer, kept.
  struct Copy {
    private let held: [UInt8]
    init(_ buffer: borrowing ByteBuffer) { held = unsafe Array(buffer.bytes) }
    func restore(_ buffer: inout ByteBuffer) {
      buffer.removeAll()
      buffer.append(held)
    }
  }
}
