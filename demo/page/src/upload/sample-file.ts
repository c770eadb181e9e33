const LINE_BYTES = 64;
const LINES_IN_BLOCK = 1024;

/** A text file of about that many bytes which compresses like real text, made here: to see progress on any machine. */
export function sampleFile(bytes: number): File {
  const blocks: string[] = [];
  for (let size = 0; size < bytes; size += LINE_BYTES * LINES_IN_BLOCK) {
    let block = "";
    for (let line = 0; line < LINES_IN_BLOCK; line++) {
      const stamp = new Date(1_700_000_000_000 + (size / LINE_BYTES + line) * 1000).toISOString();
      const value = Math.random().toString(36).slice(2, 12);
      block += `${stamp} value=${value}`.padEnd(LINE_BYTES - 1, ".").concat("\n");
    }
    blocks.push(block);
  }
  return new File(blocks, "sample.log", { type: "text/plain" });
}
