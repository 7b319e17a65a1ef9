// A list of which only the visible rows are elements: rows of one height, and one element for each that is on the screen.
// make() gives an element; fill(element, index) writes a row into it; count() says how many rows there are.
export class VirtualList {
  constructor(box, { height, head = 0, make, fill, count }) {
    Object.assign(this, { box, height, head, make, fill, count, rows: [], first: 0, asked: null });
    this.room = document.createElement("div");
    this.room.setAttribute("role", "presentation");
    box.append(this.room);
    box.addEventListener("scroll", () => this.later(), { passive: true });
    new ResizeObserver(() => this.later()).observe(box);
  }

  later() {
    this.asked ??= requestAnimationFrame(() => {
      this.asked = null;
      this.draw();
    });
  }

  draw() {
    const total = this.count();
    const needed = Math.min(total, Math.ceil(this.box.clientHeight / this.height) + 6);
    this.room.style.height = `${total * this.height}px`;
    while (this.rows.length < needed) {
      const row = this.make();
      this.room.append(row);
      this.rows.push(row);
    }
    this.first = Math.max(0, Math.min(total - needed, Math.floor(this.box.scrollTop / this.height) - 2));
    this.rows.forEach((row, place) => {
      row.hidden = place >= needed;
      if (row.hidden) return;
      row.style.transform = `translateY(${(this.first + place) * this.height}px)`;
      this.fill(row, this.first + place);
    });
  }

  show(index) {
    const top = index * this.height;
    const room = this.box.clientHeight - this.head;
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    else if (top + this.height > this.box.scrollTop + room) this.box.scrollTop = top + this.height - room;
    this.later();
  }
}
