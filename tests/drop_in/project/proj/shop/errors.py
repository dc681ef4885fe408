class ShopError(Exception):
    pass


class OutOfStock(ShopError):
    def __init__(self, article, wanted):
        super().__init__(article, wanted)
        self.article = article
        self.wanted = wanted

    def __str__(self):
        return f"{self.wanted} of {self.article}"


class GatewayDown(ShopError):
    pass
