export { StompFault } from './fault.ts';
export { Frame, type Header, type Version, versions } from './frame.ts';
export { type FrameLimits, FrameReader, type FrameSink } from './frame-reader.ts';
export { encodeFrame, headerLine, headText, writeBeat, writeFrame } from './frame-writer.ts';
