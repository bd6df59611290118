/// What the models read of one borrower: the feature vector (`FeatureCatalogue.count` floats, NaN where missing) and the
/// picture (row-major [day][channel], `pictureDays` x `pictureChannels`, newest day last). Reused for every event; both
/// are padded with zeros to a multiple of 16 floats and aligned to 64 bytes.
///
/// A cell of the picture is log(1 + x), x being the day's sum of money or days past due, or its number of events on a
/// channel that has no amounts; a negative sum (of statement balances) counts as minus log(1 - x).
@safe public struct ModelInput: ~Copyable {
  public static let pictureDays = 90
  public static let pictureChannels = 16
  public let features: UnsafeMutableBufferPointer<Float>
  public let picture: UnsafeMutableBufferPointer<Float>

  public init() {
    unsafe features = ModelInput.zeros((FeatureCatalogue.count + 15) / 16 * 16)
    unsafe picture = ModelInput.zeros(ModelInput.pictureDays * ModelInput.pictureChannels)
  }

  deinit {
    unsafe features.deallocate()
    unsafe picture.deallocate()
  }

  private static func zeros(_ count: Int) -> UnsafeMutableBufferPointer<Float> {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: count * 4, alignment: 64)
    let floats = unsafe memory.bindMemory(to: Float.self)
    unsafe floats.initialize(repeating: 0)
    return unsafe floats
  }
}

extension ModelInput: @unchecked Sendable {}  // It owns its memory alone; a noncopyable value is in one place at a time.
