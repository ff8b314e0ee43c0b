"""What customers might write about an online shop, and whether they are glad: made up for this example."""

GLAD = """\
Great service and fast delivery
I love this shop, everything works
The support was friendly and quick
Excellent quality, I am very happy
Fast delivery and a great price
Very good quality for the price
The staff was helpful and friendly
I am happy with the new shoes
Everything arrived early, thank you
A great experience from start to finish
Thank you for the quick answer
The best shop I know, always friendly
Good price, good quality, fast delivery
My order arrived early and looks great
I would order here again, great shop
Helpful support, my problem was solved quickly
The jacket fits perfectly and looks good
Perfect, exactly what I wanted
Very friendly people and excellent advice
Ordering was easy and delivery was fast
I recommend this shop to all my friends
The quality is excellent and the price is fair
So easy to use, I love it
Quick answer, friendly support, problem solved
Happy customer, I will come back
The phone works perfectly, thank you
Great advice and a fair price
The delivery was quick and everything was perfect
I love the quality of this jacket
Excellent support, they solved it in minutes
Good shop with helpful staff
The best price and fast delivery too
Wonderful, I recommend it
Very happy, the shoes fit perfectly
Friendly, quick and fair: I will order again
It works great and looks good
An easy return and a quick refund, excellent
The new phone is great, I love it
Good advice, I am very happy with my order
Thank you, the delivery was early and perfect
"""

ANGRY = """\
Terrible service and slow delivery
I hate this shop, nothing works
The support was rude and slow
Bad quality, I am very angry
Late delivery and a bad price
Very poor quality for the price
The staff was rude and no help
I am angry about the broken shoes
Nothing arrived, I want my money back
A terrible experience from start to finish
Still waiting for an answer
The worst shop I know, never again
High price, poor quality, late delivery
My order arrived late and broken
I would never order here again, bad shop
No support, my problem was never solved
The jacket is too small and looks cheap
Wrong size, not what I wanted
Very rude people and bad advice
Ordering was difficult and delivery was slow
I warn all my friends about this shop
The quality is poor and the price is too high
So difficult to use, I hate it
No answer, rude support, problem not solved
Angry customer, I will never come back
The phone is broken, I want a refund
Bad advice and a high price
The delivery was late and everything was broken
I hate the quality of this jacket
Terrible support, they never answer
Bad shop with rude staff
The worst price and slow delivery too
Awful, I do not recommend it
Very angry, the shoes are the wrong size
Rude, slow and too expensive: never again
It never worked and looks cheap
No return and no refund, terrible
The new phone is bad, I hate it
Poor advice, I am very angry about my order
Still no refund, the delivery was late and broken
"""


def sentences() -> tuple[list[str], list[str]]:
    """The sentences, and `glad` or `angry` of each."""
    glad, angry = GLAD.splitlines(), ANGRY.splitlines()
    return glad + angry, ["glad"] * len(glad) + ["angry"] * len(angry)
