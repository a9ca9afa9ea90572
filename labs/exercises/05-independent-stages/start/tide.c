/* The height of the tide: it rises for six hours, and falls for six. */
static const double LOW = 1, HIGH = 4; /* metres */

double height(double hours) {
    while (hours >= 12)
        hours -= 12;
    double risen = hours < 6 ? hours / 6 : (12 - hours) / 6;
    return LOW + (HIGH - LOW) * risen;
}
