import Foundation

/// A folder with `metrics.json` and pages, each replaced by rename.
enum ReportFolder {
  static func write(
    _ metrics: some Encodable, pages: [(name: String, html: String)], folder: String
  ) throws(TrainingError) {
    try MetricsFile.write(metrics, folder: folder)
    for page in pages {
      do {
        try Data(page.html.utf8).write(
          to: URL(fileURLWithPath: folder).appendingPathComponent(page.name), options: .atomic)
      } catch {
        throw TrainingError(.failed, "\(folder)/\(page.name): cannot be written; look for space and the right to write")
      }
    }
  }
}
