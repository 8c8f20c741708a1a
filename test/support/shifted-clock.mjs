// Preloaded by tests (`NODE_OPTIONS=--import`): the whole process lives CLOCK_SHIFT_MS later than the machine, and as
// much later as it is told by a message of its parent.
import { flushCompileCache } from 'node:module';

let shift = Number(process.env.CLOCK_SHIFT_MS ?? 0);
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

if (process.connected) {
  process.on('message', (message) => {
    if (message?.type !== 'clock') return;
    shift = message.shiftMs;
    process.send({ type: 'clock' });
  });
  // It keeps nobody alive that would end by itself.
  process.channel?.unref();
}

// A process that is killed writes no cache of what it compiled, and most of these end so.
setTimeout(flushCompileCache, 3_000).unref();
