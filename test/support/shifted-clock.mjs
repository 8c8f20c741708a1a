// Preloaded by tests (`NODE_OPTIONS=--import`): the whole process lives CLOCK_SHIFT_MS later than the machine.
const shift = Number(process.env.CLOCK_SHIFT_MS ?? 0);
const RealDate = Date;

globalThis.Date = class ShiftedDate extends RealDate {
  constructor(...args) {
    if (args.length === 0) {
      super(RealDate.now() + shift);
    } else {
      super(...args);
    }
  }

  static now() {
    return RealDate.now() + shift;
  }
};
