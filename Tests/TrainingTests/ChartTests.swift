import Testing

@testable import Training

@Test func `what comes from data is escaped on its way into a page`() {
  let name = "<b onload=\"x\">&"
  let markup: Markup = "<td>\(name)</td>"
  #expect(markup.text == "<td>&lt;b onload=&quot;x&quot;&gt;&amp;</td>")
  var page = ReportPage(title: name, subtitle: "")
  page.section(name, name)
  page.charts([Chart(name, x: Chart.Axis(label: name), y: Chart.Axis(label: name), caption: name)])
  #expect(!page.html.contains(name))
}

@Test(arguments: [(0.0, 1.0), (-3.7, 12), (0, 0.0031), (5, 5), (0, 0), (1e6, 1.2e7), (-1e-9, 1e-9)])
func `an axis has round ticks that hold all that is drawn`(low: Double, high: Double) {
  let ticks = Ticks(nil, [low, high], target: 5)
  #expect(ticks.low <= low && ticks.high >= high && ticks.low < ticks.high)
  #expect((3...12).contains(ticks.values.count), "\(ticks)")
  #expect(ticks.values.allSatisfy { $0 >= ticks.low - ticks.step * 1e-6 && $0 <= ticks.high + ticks.step * 1e-6 })
}

@Test func `a chart of nothing, or of what is not finite, is drawn all the same`() {
  var chart = Chart("t", x: Chart.Axis(label: "x"), y: Chart.Axis(label: "y"))
  chart.add("", .line([]))
  chart.add("", .points([(.nan, 1), (.infinity, 2)]))
  chart.add("", .bars([(0, 1, .nan)]))
  chart.add("", .band([]))
  let text = chart.markup.text
  #expect(text.contains("<svg") && !text.contains("nan") && !text.contains("inf"))
}

@Test func `numbers are written as people read them`() {
  let cases: [(FigureFormat, Double, String)] = [
    (.plain, 0.79124, "0.7912"), (.plain, 12_345.6, "12,346"), (.plain, 3, "3"), (.plain, 0.00004, "4e-05"),
    (.percent, 0.1234, "12.3 %"), (.percent, 0.0123, "1.23 %"), (.percent, 1, "100.0 %"), (.twoDecimals, 5.3, "5.30"),
    (.compact, 1_234_567, "1.2M"),
    (.compact, 950, "950"), (.integer, -1_234_567, "-1,234,567"), (.plain, .nan, "–"),
  ]
  for (format, value, text) in cases { #expect(format.text(value) == text) }
  #expect(FigureFormat.percent.tick(0.05, step: 0.05) == "5 %" && FigureFormat.plain.tick(0.3, step: 0.1) == "0.3")
}
