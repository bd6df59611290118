/// The page and the description of the interface, as they stand in the package.
enum Page {
  static let openAPI = PackageResources.openapi_json

  /// Scripts and styles are those of the file alone: their nonce is made anew for each answer.
  static var response: HTTPResponse {
    var random = SystemRandomNumberGenerator()
    let nonce = String(UInt64.random(in: 0 ... .max, using: &random), radix: 16)
    let text = String(decoding: PackageResources.page_html, as: UTF8.self)
      .split(separator: "NONCE", omittingEmptySubsequences: false).joined(separator: nonce)
    let policy =
      "default-src 'none'; script-src 'nonce-\(nonce)'; style-src 'nonce-\(nonce)'; connect-src 'self'; "
      + "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    return HTTPResponse(contentType: "text/html; charset=utf-8", body: text).with("Content-Security-Policy", policy)
  }
}
