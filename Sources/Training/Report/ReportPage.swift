/// One self-contained page: text, tables and pictures, without anything from elsewhere.
struct ReportPage: Sendable {
  var title: String
  /// One line below it.
  var subtitle: String
  private var contents: Markup = ""
  private var sections: [(id: String, title: String)] = []

  init(title: String, subtitle: String) {
    self.title = title
    self.subtitle = subtitle
  }

  /// The figures to see first.
  mutating func cards(_ cards: [(name: String, value: String, note: String)]) {
    let items = cards.map { card -> Markup in
      let note: Markup = card.note.isEmpty ? "" : "<span class=\"note\">\(card.note)</span>"
      return "<div class=\"card\"><span class=\"name\">\(card.name)</span><b>\(card.value)</b>\(note)</div>\n"
    }
    contents += "<div class=\"cards\">\n\(Markup.joined(items))</div>\n"
  }

  mutating func section(_ title: String, _ explanation: String = "") {
    let id = "s\(sections.count + 1)"
    sections.append((id, title))
    contents += "<h2 id=\"\(id)\">\(title)</h2>\n"
    if !explanation.isEmpty { paragraph(explanation) }
  }

  mutating func paragraph(_ text: String) { contents += "<p>\(text)</p>\n" }

  /// Said before all else, for what a reader must not miss.
  mutating func notice(_ text: String) { contents += "<p class=\"notice\">\(text)</p>\n" }

  mutating func charts(_ charts: [Chart]) {
    guard !charts.isEmpty else { return }
    contents += "<div class=\"charts\">\n\(Markup.joined(charts.map(\.markup)))</div>\n"
  }

  mutating func add(_ markup: Markup) { contents += markup }

  mutating func table(_ table: ReportTable) { contents += table.markup }

  var html: String {
    let links = sections.map { "<a href=\"#\($0.id)\">\($0.title)</a>" as Markup }
    let page: Markup = """
      <!doctype html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <meta name="color-scheme" content="light dark">
      <title>\(title)</title>
      <style>\(Self.style)</style>
      </head>
      <body>
      <header><h1>\(title)</h1><p>\(subtitle)</p></header>
      <nav>\(Markup.joined(links, separator: " "))</nav>
      <main>
      \(contents)</main>
      </body>
      </html>

      """
    return page.text
  }

  private static let style: Markup = """

    :root{--paper:#fff;--ink:#1b2430;--soft:#5a6675;--rule:#d9dfe6;--panel:#f6f8fa;--warn:#fff3d6;--warn-edge:#d69a00;
    --c0:#1f5fbf;--c1:#c8501e;--c2:#1d8a5b;--c3:#8a3fb3;--c4:#a37500;--c5:#5d6b7a}
    @media (prefers-color-scheme:dark){:root{--paper:#12171e;--ink:#e3e8ee;--soft:#9aa7b5;--rule:#2f3944;--panel:#1a212a;
    --warn:#3a2f12;--warn-edge:#d69a00;--c0:#6ea8ff;--c1:#ff9161;--c2:#4fcf98;--c3:#cf93f5;--c4:#e6bb4d;--c5:#a9b6c4}}
    *{box-sizing:border-box}
    body{margin:0 auto;padding:24px 20px 64px;max-width:1080px;background:var(--paper);color:var(--ink);
    font:15px/1.5 system-ui,-apple-system,"Segoe UI","DejaVu Sans",sans-serif}
    header p{color:var(--soft);margin:2px 0 0}
    h1{font-size:26px;line-height:1.2;margin:0}
    h2{font-size:19px;margin:40px 0 6px;padding-top:8px;border-top:1px solid var(--rule)}
    h3{font-size:14px;margin:0 0 4px}
    p{max-width:78ch;margin:6px 0 12px}
    nav{margin:14px 0 6px;font-size:13px;line-height:1.9}
    nav a{color:var(--c0);margin-right:12px;white-space:nowrap;text-decoration:none}
    nav a:hover{text-decoration:underline}
    .notice{background:var(--warn);border-left:4px solid var(--warn-edge);padding:8px 12px}
    .cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:10px;margin:18px 0}
    .card{background:var(--panel);border:1px solid var(--rule);border-radius:6px;padding:8px 12px}
    .card b{display:block;font-size:22px;line-height:1.3;font-variant-numeric:tabular-nums}
    .card .name,.card .note{display:block;font-size:12px;color:var(--soft)}
    .charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));gap:18px 22px;margin:14px 0}
    figure{margin:0;max-width:560px;break-inside:avoid}
    figcaption{font-size:12.5px;color:var(--soft)}
    svg{display:block;width:100%;height:auto;overflow:visible}
    svg text{fill:var(--ink);font:11px system-ui,-apple-system,"Segoe UI","DejaVu Sans",sans-serif}
    svg .tick{fill:var(--soft)}
    svg .grid{stroke:var(--rule)}
    svg .axis{stroke:var(--soft)}
    .line{fill:none;stroke-width:2;stroke-linejoin:round}
    .line.s0{stroke:var(--c0)}.line.s1{stroke:var(--c1);stroke-dasharray:7 3}.line.s2{stroke:var(--c2);stroke-dasharray:2 3}
    .line.s3{stroke:var(--c3);stroke-dasharray:9 3 2 3}.line.s4{stroke:var(--c4);stroke-dasharray:4 2}
    .line.s5{stroke:var(--c5);stroke-dasharray:1 2}
    .line.reference{stroke:var(--soft);stroke-width:1.2;stroke-dasharray:5 4}
    .dot.s0,.bar.s0,.band.s0,.cell.s0{fill:var(--c0)}.dot.s1,.bar.s1,.band.s1{fill:var(--c1)}.dot.s2,.bar.s2,.band.s2{fill:var(--c2)}
    .dot.s3,.bar.s3,.band.s3{fill:var(--c3)}.dot.s4,.bar.s4,.band.s4{fill:var(--c4)}.dot.s5,.bar.s5,.band.s5{fill:var(--c5)}
    .bar{fill-opacity:.62}.bar.s1{fill-opacity:.5}.band{fill-opacity:.18}
    .legend{font-size:12.5px;color:var(--soft);display:flex;flex-wrap:wrap;gap:2px 14px;margin:0 0 2px}
    .key{display:inline-block;width:14px;height:4px;margin:0 5px 3px 0;vertical-align:middle;border-radius:1px}
    .key.s0{background:var(--c0)}.key.s1{background:var(--c1)}.key.s2{background:var(--c2)}.key.s3{background:var(--c3)}
    .key.s4{background:var(--c4)}.key.s5{background:var(--c5)}.key.reference{background:var(--soft)}
    .scroll{overflow-x:auto;margin:10px 0 16px}
    table{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums}
    caption{text-align:left;white-space:nowrap;font-weight:600;font-size:14px;padding:4px 0}
    th,td{padding:3px 7px;text-align:right;border-bottom:1px solid var(--rule);white-space:nowrap}
    th{color:var(--soft);font-weight:600;vertical-align:bottom}
    th.text,td.text{text-align:left}
    td.long{white-space:normal;min-width:22em}
    tr.chosen td{font-weight:650}
    tr.part td{font-weight:650;padding-top:10px;text-align:left}
    th:first-child,td:first-child{padding-left:0}
    .bars td.space{width:34%;padding-right:0}.bars td:nth-child(2){white-space:normal}
    .bars{width:100%}
    .fill{height:11px;border-radius:2px;background:var(--c0);opacity:.75;min-width:1px}
    pre.text{white-space:pre-wrap;background:var(--panel);border:1px solid var(--rule);border-radius:6px;padding:12px;
    font:13.5px/1.5 inherit;font-family:inherit;max-width:84ch}
    @media print{:root{--paper:#fff;--ink:#000;--soft:#444;--rule:#bbb;--panel:#fff;--c0:#1f5fbf;--c1:#c8501e;--c2:#1d8a5b;
    --c3:#8a3fb3;--c4:#a37500;--c5:#5d6b7a}
    body{max-width:none;padding:0;font-size:11px}nav{display:none}.charts{grid-template-columns:1fr 1fr}
    h2,h2+p{break-after:avoid}table,figure{break-inside:avoid}.scroll{overflow:visible}
    *{-webkit-print-color-adjust:exact;print-color-adjust:exact}}

    """
}

/// Rows and columns of a report.
struct ReportTable: Sendable {
  struct Column: Sendable {
    var name: String
    var isText = false
    /// Cells are shaded from the column's least to its greatest number.
    var isHeat = false
  }

  struct Cell: Sendable {
    var text: String
    /// What shading goes by.
    var number: Double?
    init(_ text: String, _ number: Double? = nil) {
      self.text = text
      self.number = number
    }
    init(_ number: Double?, _ format: FigureFormat = .plain) {
      text = format.text(number)
      self.number = number
    }
  }

  private enum Row: Sendable {
    case cells([Cell], isChosen: Bool)
    case part(String)
  }

  var caption: String
  var columns: [Column]
  private var rows: [Row] = []

  init(_ caption: String, _ columns: [Column]) {
    self.caption = caption
    self.columns = columns
  }

  var isEmpty: Bool { rows.isEmpty }

  mutating func add(_ cells: [Cell], isChosen: Bool = false) { rows.append(.cells(cells, isChosen: isChosen)) }
  /// A line that names the rows that follow.
  mutating func part(_ title: String) { rows.append(.part(title)) }

  var markup: Markup {
    let head = Markup.joined(
      columns.map { column -> Markup in
        column.isText ? "<th class=\"text\">\(column.name)</th>" : "<th>\(column.name)</th>"
      })
    let ranges = columns.indices.map { column in range(column) }
    let body = Markup.joined(
      rows.map { row -> Markup in
        switch row {
        case .part(let title): return "<tr class=\"part\"><td colspan=\"\(columns.count)\">\(title)</td></tr>\n"
        case .cells(let cells, let isChosen):
          let text = Markup.joined(zip(cells, columns.indices).map { cell($0, $1, ranges[$1]) })
          return isChosen ? "<tr class=\"chosen\">\(text)</tr>\n" : "<tr>\(text)</tr>\n"
        }
      })
    return """
      <div class="scroll"><table><caption>\(caption)</caption>
      <thead><tr>\(head)</tr></thead>
      <tbody>
      \(body)</tbody></table></div>

      """
  }

  private func range(_ column: Int) -> ClosedRange<Double>? {
    guard columns[column].isHeat else { return nil }
    var numbers: [Double] = []
    for case .cells(let cells, _) in rows where column < cells.count {
      if let number = cells[column].number, number.isFinite { numbers.append(number) }
    }
    guard let low = numbers.min(), let high = numbers.max(), low < high else { return nil }
    return low...high
  }

  private func cell(_ cell: Cell, _ column: Int, _ range: ClosedRange<Double>?) -> Markup {
    if columns[column].isText {
      return cell.text.count > 60 ? "<td class=\"text long\">\(cell.text)</td>" : "<td class=\"text\">\(cell.text)</td>"
    }
    guard let range, let number = cell.number, number.isFinite else { return "<td>\(cell.text)</td>" }
    let share = Int(((number - range.lowerBound) / (range.upperBound - range.lowerBound) * 34).rounded())
    return """
      <td class="heat" style="background:color-mix(in srgb,var(--c0) \(share)%,transparent)">\(cell.text)</td>
      """
  }
}

/// Named amounts as bars that lie, the longest first.
struct BarList: Sendable {
  var caption: String
  var rows: [(name: String, note: String, value: Double)]

  var markup: Markup {
    let longest = rows.map(\.value).max() ?? 0
    let lines = rows.map { row -> Markup in
      let share = longest > 0 ? Int((row.value / longest * 1000).rounded()) : 0
      return """
        <tr><td class="text">\(row.name)</td><td class="text">\(row.note)</td>\
        <td>\(FigureFormat.plain.text(row.value))</td>\
        <td class="space"><div class="fill" style="width:\(share / 10).\(share % 10)%"></div></td></tr>

        """
    }
    return """
      <div class="scroll"><table class="bars"><caption>\(caption)</caption><tbody>
      \(Markup.joined(lines))</tbody></table></div>

      """
  }
}
