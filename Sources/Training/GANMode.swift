/// Whether rows made by an adversarial network enlarge what the overdue members learn from.
public enum GANMode: String, CaseIterable, Sendable {
  /// Only where the paired 95 % interval of its gain in log loss is above 0.
  case auto
  case always
  case never
}
