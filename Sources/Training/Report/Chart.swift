import Foundation

/// A picture with axes: lines, steps, points, bars and bands, as inline SVG that follows the page's colours.
struct Chart: Sendable {
  typealias Point = (x: Double, y: Double)

  struct Axis: Sendable {
    var label: String
    /// Nil: what the marks need, from a round number to a round number.
    var range: ClosedRange<Double>?
    var format = FigureFormat.plain
  }

  enum Shape: Sendable {
    case line([Point])
    /// Holds each height until the next.
    case steps([Point])
    case points([Point])
    /// From, to, height.
    case bars([(from: Double, to: Double, height: Double)])
    case band([(x: Double, lower: Double, upper: Double)])
    /// Squares of equal size by their lower left corners, the darker the nearer to 1 their weight.
    case cells([(x: Double, y: Double, weight: Double)], width: Double, height: Double)
    /// A straight line that the others are compared with.
    case reference(Point, Point)
  }

  struct Mark: Sendable {
    /// Empty: not in the legend.
    var name: String
    var shape: Shape
    /// The colour of an earlier mark; nil: the next one.
    var series: Int?
  }

  var title: String
  var x: Axis
  var y: Axis
  var marks: [Mark] = []
  /// What it shows, in a sentence or two.
  var caption = ""
  var isSquare = false

  init(_ title: String, x: Axis, y: Axis, isSquare: Bool = false, caption: String = "") {
    self.title = title
    self.x = x
    self.y = y
    self.isSquare = isSquare
    self.caption = caption
  }

  mutating func add(_ name: String, _ shape: Shape) { marks.append(Mark(name: name, shape: shape)) }

  // MARK: Drawing

  private static let width = 460.0
  private static let insets = (left: 62.0, right: 16.0, top: 10.0, bottom: 46.0)

  var markup: Markup {
    let frame = Frame(self, height: isSquare ? 400 : 300)
    var series = -1
    var body: Markup = ""
    var legend: [Markup] = []
    // Areas lie under lines.
    for mark in marks {
      if case .reference = mark.shape {
        body += frame.draw(mark.shape, "reference")
        if !mark.name.isEmpty { legend.append("<span class=\"key reference\"></span>\(mark.name)") }
        continue
      }
      if mark.series == nil { series += 1 }
      let style = "s\((mark.series ?? series) % 6)"
      body += frame.draw(mark.shape, style)
      if !mark.name.isEmpty { legend.append("<span class=\"key \(style)\"></span>\(mark.name)") }
    }
    let keys: Markup =
      legend.isEmpty ? "" : "<div class=\"legend\">\(Markup.joined(legend.map { "<span>\($0)</span>" }))</div>"
    let note: Markup = caption.isEmpty ? "" : "<figcaption>\(caption)</figcaption>"
    return """
      <figure><h3>\(title)</h3>\(keys)\
      <svg viewBox="0 0 \(Frame.number(Self.width)) \(Frame.number(frame.height))" role="img" aria-label="\(title)">\
      \(frame.axes)\(body)</svg>\(note)</figure>

      """
  }

  /// Where the axes lie and how values become places.
  private struct Frame {
    let height: Double
    private let xTicks: Ticks
    private let yTicks: Ticks
    private let chart: Chart

    init(_ chart: Chart, height: Double) {
      self.chart = chart
      self.height = height
      let all = chart.marks.flatMap { Self.extent($0.shape) }.filter { $0.x.isFinite && $0.y.isFinite }
      xTicks = Ticks(chart.x.range, all.map(\.x), target: 6)
      yTicks = Ticks(chart.y.range, all.map(\.y), target: 5)
    }

    private static func extent(_ shape: Shape) -> [Point] {
      switch shape {
      case .line(let points), .steps(let points), .points(let points): points
      case .bars(let bars): bars.flatMap { [($0.from, 0), ($0.to, $0.height)] }
      case .band(let band): band.flatMap { [($0.x, $0.lower), ($0.x, $0.upper)] }
      case .cells(let cells, let width, let height): cells.flatMap { [($0.x, $0.y), ($0.x + width, $0.y + height)] }
      case .reference(let from, let to): [from, to]
      }
    }

    private func placeX(_ value: Double) -> Double {
      let share = (value - xTicks.low) / (xTicks.high - xTicks.low)
      return Chart.insets.left + min(max(share, -0.02), 1.02) * (Chart.width - Chart.insets.left - Chart.insets.right)
    }

    private func placeY(_ value: Double) -> Double {
      let share = (value - yTicks.low) / (yTicks.high - yTicks.low)
      return height - Chart.insets.bottom - min(max(share, -0.02), 1.02)
        * (height - Chart.insets.top - Chart.insets.bottom)
    }

    static func number(_ value: Double) -> String {
      let tenths = Int((value * 10).rounded())
      return tenths % 10 == 0 ? String(tenths / 10) : String(Double(tenths) / 10)
    }

    var axes: Markup {
      var parts: Markup = ""
      let (left, right) = (Self.number(Chart.insets.left), Self.number(Chart.width - Chart.insets.right))
      let bottom = height - Chart.insets.bottom
      for value in yTicks.values {
        let y = Self.number(placeY(value))
        parts += "<line class=\"grid\" x1=\"\(left)\" y1=\"\(y)\" x2=\"\(right)\" y2=\"\(y)\"/>"
        parts += """
          <text class="tick" x="\(Self.number(Chart.insets.left - 7))" y="\(Self.number(placeY(value) + 3.5))" \
          text-anchor="end">\(chart.y.format.tick(value, step: yTicks.step))</text>
          """
      }
      for value in xTicks.values {
        let x = Self.number(placeX(value))
        parts += """
          <line class="axis" x1="\(x)" y1="\(Self.number(bottom))" x2="\(x)" y2="\(Self.number(bottom + 4))"/>\
          <text class="tick" x="\(x)" y="\(Self.number(bottom + 16))" text-anchor="middle">\
          \(chart.x.format.tick(value, step: xTicks.step))</text>
          """
      }
      parts += """
        <line class="axis" x1="\(left)" y1="\(Self.number(bottom))" x2="\(right)" y2="\(Self.number(bottom))"/>\
        <text class="label" x="\(Self.number((Chart.insets.left + Chart.width - Chart.insets.right) / 2))" \
        y="\(Self.number(height - 8))" text-anchor="middle">\(chart.x.label)</text>\
        <text class="label" transform="translate(13 \(Self.number((Chart.insets.top + bottom) / 2))) rotate(-90)" \
        text-anchor="middle">\(chart.y.label)</text>
        """
      return parts
    }

    func draw(_ shape: Shape, _ style: String) -> Markup {
      switch shape {
      case .line(let points): return polyline(points, style)
      case .steps(let points):
        var corners: [Point] = []
        for point in points {
          if let last = corners.last { corners.append((point.x, last.y)) }
          corners.append(point)
        }
        return polyline(corners, style)
      case .points(let points):
        return Markup.joined(
          points.filter { $0.x.isFinite && $0.y.isFinite }.map {
            "<circle class=\"dot \(style)\" cx=\"\(Self.number(placeX($0.x)))\" cy=\"\(Self.number(placeY($0.y)))\" r=\"3\"/>"
          })
      case .bars(let bars):
        return Markup.joined(
          bars.filter { $0.height.isFinite && $0.height != 0 }.map { bar in
            let (from, to) = (placeX(bar.from), placeX(bar.to))
            let (top, base) = (placeY(max(bar.height, 0)), placeY(min(bar.height, 0)))
            return """
              <rect class="bar \(style)" x="\(Self.number(from))" y="\(Self.number(top))" \
              width="\(Self.number(max(to - from, 0.6)))" height="\(Self.number(max(base - top, 0.4)))"/>
              """
          })
      case .band(let band):
        let outline = band.map { Point($0.x, $0.upper) } + band.reversed().map { Point($0.x, $0.lower) }
        return "<polygon class=\"band \(style)\" points=\"\(places(outline))\"/>"
      case .cells(let cells, let width, let height):
        return Markup.joined(
          cells.filter { $0.weight > 0 }.map { cell in
            let (left, top) = (placeX(cell.x), placeY(cell.y + height))
            return """
              <rect class="cell \(style)" x="\(Self.number(left))" y="\(Self.number(top))" \
              width="\(Self.number(placeX(cell.x + width) - left))" height="\(Self.number(placeY(cell.y) - top))" \
              fill-opacity="\(String(Double(Int(cell.weight * 100)) / 100))"/>
              """
          })
      case .reference(let from, let to): return polyline([from, to], style)
      }
    }

    private func polyline(_ points: [Point], _ style: String) -> Markup {
      "<polyline class=\"line \(style)\" points=\"\(places(points))\"/>"
    }

    private func places(_ points: [Point]) -> String {
      points.filter { $0.x.isFinite && $0.y.isFinite }
        .map { "\(Self.number(placeX($0.x))),\(Self.number(placeY($0.y)))" }.joined(separator: " ")
    }
  }
}

/// Round numbers along an axis.
struct Ticks: Equatable, Sendable {
  var low: Double
  var high: Double
  var step: Double

  /// About `target` of them over `range`, or over what holds all values.
  init(_ range: ClosedRange<Double>?, _ values: [Double], target: Int) {
    var low = range?.lowerBound ?? values.min() ?? 0
    var high = range?.upperBound ?? values.max() ?? 1
    if !(high > low) {
      let middle = low
      low = middle - max(abs(middle) * 0.1, 0.5)
      high = middle + max(abs(middle) * 0.1, 0.5)
    }
    let rough = (high - low) / Double(target)
    let power = pow(10, floor(log10(rough)))
    let size = rough / power
    step = power * (size <= 1.000001 ? 1 : size <= 2.000001 ? 2 : size <= 5.000001 ? 5 : 10)
    if range == nil {
      low = floor(low / step + 1e-9) * step
      high = ceil(high / step - 1e-9) * step
    }
    self.low = low
    self.high = high
  }

  var values: [Double] {
    let first = Int(ceil(low / step - 1e-9))
    let last = Int(floor(high / step + 1e-9))
    return first <= last ? (first...last).map { Double($0) * step } : []
  }
}
