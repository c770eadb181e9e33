import "./runs-stand-on.ts";
import "../runs/property.test.ts";
